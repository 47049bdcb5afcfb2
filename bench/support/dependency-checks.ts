/** What an app depends on: four HTTP services at one port, each given so long to answer. */
export const DEPENDENCIES = ["database", "cache", "queue", "mail"];
export const TIMEOUT_MS = 1_000;

export async function askDependency(port: number, name: string, signal?: AbortSignal): Promise<void> {
  const ends = signal ?? AbortSignal.timeout(TIMEOUT_MS);
  const answer = await fetch(`http://127.0.0.1:${port}/${name}`, { signal: ends });
  await answer.arrayBuffer();
  if (!answer.ok) throw new Error(`${name} answers ${answer.status}`);
}
