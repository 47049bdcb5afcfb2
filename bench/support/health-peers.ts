import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { askSteadily } from "./ask-steadily.ts";
import { startDependency } from "./dependency.ts";
import { TIMEOUT_MS } from "./dependency-checks.ts";
import { forkServer } from "./forked.ts";
import type { SteadyResult } from "./steady-load.ts";

const FILES = {
  "signalbox/health": "health-own.ts",
  "@nestjs/terminus": "health-nest.ts",
  "@godaddy/terminus": "health-godaddy.ts",
} as const;
export type Peer = keyof typeof FILES;
export type Pair = { readonly answering: SteadyResult; readonly hanging: SteadyResult };

/** Few, so that what is seen is the waiting and not a crowd: those who wait for a dependency take seconds each. */
const LOAD = { path: "/health", headers: {}, perSecond: 50, seconds: 4, connections: 400 };

/** The same four dependencies behind each: first they answer, then all of them hang. */
export async function measurePeers(): Promise<Record<Peer, Pair>> {
  const dependency = await startDependency();
  const names = Object.keys(FILES) as Peer[];
  const servers = await Promise.all(names.map((name) => forkServer(FILES[name], String(dependency.port))));
  try {
    const measure = async () => {
      const results: SteadyResult[] = [];
      for (const { port } of servers) {
        await askSteadily({ ...LOAD, port, seconds: 1 }, null);
        results.push(await askSteadily({ ...LOAD, port }, null));
      }
      return results;
    };
    const answering = await measure();
    dependency.hang();
    // Until everybody has had the time to notice.
    await sleep(2 * TIMEOUT_MS + 500);
    const hanging = await measure();
    return Object.fromEntries(
      names.map((name, at) => [name, { answering: answering[at], hanging: hanging[at] }]),
    ) as Record<Peer, Pair>;
  } finally {
    dependency.stop();
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/** Of what is installed. */
export function versionOf(name: string): string {
  const file = join(import.meta.dirname, "../../node_modules", name, "package.json");
  return JSON.parse(readFileSync(file, "utf8")).version;
}
