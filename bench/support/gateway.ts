import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { pushSnapshot, type Snapshot } from "../../src/gateway/index.ts";
import { type Bench, family, freePort, get, start, stop, type Tested } from "./proxies.ts";

export type Gateway = Tested & { readonly adminSocket: string };

/**
 * Our gateway with one release pair behind one host, half of the visitors each: the split that makes it work hardest.
 */
export async function startGatewayProcess(bench: Bench, workers: number): Promise<Gateway> {
  const port = await freePort();
  const adminSocket = join(bench.dir, "gateway.sock");
  const options = {
    host: "127.0.0.1",
    port,
    workers,
    adminSocket,
    stateFile: join(bench.dir, "snapshot.json"),
    accessLog: join(bench.dir, "gateway.log"),
    cookieSecret: "a secret that is only used in this benchmark",
    drainTimeoutMs: 1_000,
  };
  const script = fileURLToPath(new URL("./gateway-process.ts", import.meta.url));
  const child = start(bench, "gateway", process.execPath, [script, JSON.stringify(options)]);
  for (let attempt = 0; !existsSync(adminSocket); attempt++) {
    if (attempt > 200 || child.exitCode !== null) throw new Error("the gateway did not start");
    await sleep(50);
  }
  await pushSnapshot(adminSocket, snapshot(bench));
  return {
    name: "signalbox",
    version: "",
    port,
    adminSocket,
    pids: () => family(child),
    stop: () => stop(child),
  };
}

export function snapshot(bench: Bench, generation = 1): Snapshot {
  const manifest = join(bench.dir, "manifest.json");
  const empty = { version: 1, store: bench.dir, files: {}, routes: [], server: true, cleanUrls: false };
  writeFileSync(manifest, JSON.stringify(empty));
  const release = (id: string) => ({ id, project: "bench", manifest, socket: bench.upstreamSocket });
  return {
    version: 1,
    generation,
    hosts: {
      [bench.host]: {
        targets: [
          { release: "dpl_stable", weight: 50 },
          { release: "dpl_canary", weight: 50 },
        ],
        rollout: "bench",
      },
    },
    releases: { dpl_stable: release("dpl_stable"), dpl_canary: release("dpl_canary") },
  };
}

/** The sticky cookies of as many visitors, as their browsers would send them. */
export async function visitorCookies(gateway: Gateway, host: string, count: number): Promise<string[]> {
  const cookies: string[] = [];
  for (let i = 0; i < count; i++) {
    const { headers } = await get(gateway.port, host);
    const cookie = headers["set-cookie"]?.[0]?.split(";")[0];
    if (cookie === undefined) throw new Error("the gateway set no sticky cookie");
    cookies.push(cookie);
  }
  return cookies;
}
