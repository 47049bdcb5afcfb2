import { request } from "undici";
import type { Deployment } from "../../bench/support/api.ts";
import { systemClock } from "../../src/foundation/clock.ts";
import { packageJson, type TestInstance } from "./instance.ts";

/** The parts of a deployment that these tests look at beyond what measuring needs. */
export type Detailed = Deployment & {
  readonly services: readonly {
    readonly name: string;
    readonly url: string | null;
    readonly urls: readonly string[];
    readonly targetDeploymentId: string | null;
    readonly weight: number;
    readonly unchanged: boolean;
  }[];
  readonly rollout: {
    readonly index: number;
    readonly paused: { readonly reason: string | null } | null;
  } | null;
  readonly approvalDigest: string | null;
  readonly schemaVersion: { readonly expand: string | null; readonly contract: string | null } | null;
  readonly contractAt: string | null;
};

/** Proves a release within a fraction of a second; three probes in a row that fail are seen as fast. */
export const QUICK_HEALTH =
  "health: { path: /healthz, interval: 100ms, timeout: 1s, min_healthy_time: 200ms, deadline: 20s }";

/** A `server.js` that answers `{version, pid}`; `ask` runs for visitors, `health` for its health check. */
export function serverJs(version: string, { ask = "", health = "" } = {}): string {
  return `import http from "node:http";
let asked = 0;
const server = http.createServer((q, s) => {
  if (q.url === "/healthz") { ${health} return s.end("ok"); }
  asked++;
  ${ask}
  s.end(JSON.stringify({ version: "${version}", pid: process.pid }));
});
server.listen(process.env.PORT ?? 3000);
process.on("SIGTERM", () => server.close(() => process.exit(0)));`;
}

/** A server with its configuration, as a folder's files. */
export function appFiles(
  name: string,
  yaml: string,
  version: string,
  options?: Parameters<typeof serverJs>[1],
): Record<string, string> {
  return {
    "package.json": packageJson(name),
    "signalbox.yaml": `${QUICK_HEALTH}\n${yaml}`,
    "server.js": serverJs(version, options),
  };
}

/** What `serverJs` answers at a public URL, and the release that the gateway names. */
export async function whoAnswers(
  publicUrl: string,
  headers: Record<string, string> = {},
): Promise<{ version: string; pid: number }> {
  const { host, port } = new URL(publicUrl);
  const answer = await request(`http://127.0.0.1:${port}/`, { headers: { ...headers, host } });
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Error(`${publicUrl} answered ${answer.statusCode}: ${text}`);
  return JSON.parse(text);
}

/** Starts a deployment to production by the CLI and returns its id, without waiting for it. */
export async function begin(at: TestInstance, folder: string): Promise<string> {
  const begun = await at.cli(["deploy", folder, "--env", "production", "--detach", "--json"]);
  if (begun.code !== 0) throw new Error(begun.output);
  return JSON.parse(begun.stdout).deploymentId;
}

/** Waits until `done` is true of the deployment. @throws with its reason when it ends before. */
export async function reach(
  at: TestInstance,
  id: string,
  done: (deployment: Detailed) => boolean,
): Promise<Detailed> {
  const found = (await at.api.waitFor(
    id,
    (deployment) => done(deployment as Detailed) || deployment.finishedAt !== null,
  )) as Detailed;
  if (!done(found)) throw new Error(`${id} ended ${found.state}: ${found.reason}`);
  return found;
}

/** POSTs, with the owner's token or another one. */
export async function post(
  at: TestInstance,
  path: string,
  body: unknown = {},
  token = at.token,
  // biome-ignore lint/suspicious/noExplicitAny: the tests assert on the parts that they name
): Promise<{ status: number; body: any }> {
  const headers = { authorization: `Bearer ${token}` };
  const answer = await at.call(path, { method: "POST", body: JSON.stringify(body), headers });
  return { status: answer.status, body: await answer.json() };
}

export async function makeToken(at: TestInstance, name: string, role: string): Promise<string> {
  return (await post(at, "/api/tokens", { name, role })).body.token;
}

/** Looks again and again until there is something. */
export async function until<T>(look: () => Promise<T | null | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found) return found;
    await systemClock.sleep(25);
  }
}
