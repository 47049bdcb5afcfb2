import { request } from "undici";

/** GETs `path` of the host of `publicUrl` from the gateway on this machine: no resolver needs to know the host. */
export async function getThroughGateway(
  publicUrl: string,
  path: string,
): Promise<{ status: number; headers: Record<string, string | string[] | undefined>; body: string }> {
  const { host, port } = new URL(publicUrl);
  const answer = await request(`http://127.0.0.1:${port || 80}${path}`, { headers: { host } });
  return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() };
}
