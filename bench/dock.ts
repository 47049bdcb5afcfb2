import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { coldStarts, startDirect, startFunctions, warmRequests } from "./support/function-load.ts";
import { withInstance } from "./support/instance.ts";
import { deployUnchanged } from "./support/prebuilt-deploy.ts";
import { median } from "./support/proc.ts";
import type { Bench } from "./support/proxies.ts";
import { startNginxSite, startOurs, throughput } from "./support/static-site.ts";
import { quantile } from "./support/statistics.ts";

/**
 * What a release costs on the dock: the first and the later requests of a Node function, static files against nginx,
 * and a deployment of what is there already by the official CLI. Rounds are interleaved, ratios taken within a round.
 */
const COLD_STARTS = 20;
// Long enough for the next spare process on a machine with nothing else to do.
const PAUSE_MS = 400;
const WARM_ROUNDS = 9;
const WARM_REQUESTS = 2_000;
const STATIC_ROUNDS = 7;
const STATIC_S = 2;
const DEPLOYS = 5;
const TARGET = { coldMs: 150, overheadMs: 0.5, staticShare: 0.5 };

export async function run() {
  const dir = mkdtempSync(join(tmpdir(), "bench-dock-"));
  // nginx's worker drops root and still has to read the page.
  chmodSync(dir, 0o755);
  try {
    const functions = await measureFunctions(dir);
    const files = await measureFiles({ dir, upstreamSocket: join(dir, "app.sock"), host: "bench.localhost" });
    const deploys = await withInstance((instance) => deployUnchanged(instance, DEPLOYS));
    const { coldMs, overheadMs, staticShare } = TARGET;
    return {
      name: "dock",
      unit: "ms, warm overhead of a function, p50",
      ours: functions.overheadMs,
      peers: { nginxRequestsPerS: files.nginx, cliStartUpMs: round(median(deploys.startUpMs)) },
      ratios: {
        staticToNginx: files.ratio,
        deployToCliStartUp: round(median(deploys.deployMs) / median(deploys.startUpMs)),
      },
      target: `cold ≤ ${coldMs} ms, overhead ≤ ${overheadMs} ms, static ≥ ${staticShare} × nginx`,
      pass:
        functions.coldMs.p50 <= coldMs && functions.overheadMs <= overheadMs && files.ratio >= staticShare,
      ...functions,
      staticRequestsPerS: files.ours,
      deployMs: round(median(deploys.deployMs)),
      versions: { node: process.version, nginx: files.version, vercel: deploys.cli },
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function measureFunctions(dir: string) {
  // Half of the first requests find a spare process, half come one right after the other.
  const server = await startFunctions(COLD_STARTS * 2);
  const direct = await startDirect(join(dir, "direct.sock"));
  try {
    const spaced = await coldStarts(server, COLD_STARTS, PAUSE_MS);
    const hasty = await coldStarts(server, COLD_STARTS, 0, COLD_STARTS);
    const one = await compare(server, direct, 1);
    const eight = await compare(server, direct, 8);
    return {
      coldMs: { p50: round(quantile(spaced, 0.5)), p95: round(quantile(spaced, 0.95)) },
      coldWithoutSpareMs: { p50: round(quantile(hasty, 0.5)), p95: round(quantile(hasty, 0.95)) },
      overheadMs: one.overhead,
      warmMs: { direct: one.direct, function: one.ours },
      warmOf8Ms: { direct: eight.direct, function: eight.ours, overhead: eight.overhead },
    };
  } finally {
    await server.stop();
    await direct.stop();
  }
}

type Server = Awaited<ReturnType<typeof startDirect>>;

async function compare(server: Server, direct: Server, connections: number) {
  const rounds: { ours: number; direct: number }[] = [];
  // The first round warms the compilers up.
  for (let at = 0; at <= WARM_ROUNDS; at++) {
    const theirs = quantile(await warmRequests(direct, WARM_REQUESTS, connections), 0.5);
    const ours = quantile(await warmRequests(server, WARM_REQUESTS, connections), 0.5);
    if (at > 0) rounds.push({ ours, direct: theirs });
  }
  return {
    ours: round(median(rounds.map((one) => one.ours))),
    direct: round(median(rounds.map((one) => one.direct))),
    overhead: round(median(rounds.map((one) => one.ours - one.direct))),
  };
}

async function measureFiles(bench: Bench) {
  const [ours, nginx] = [await startOurs(bench), await startNginxSite(bench)];
  try {
    const rounds: { ours: number; nginx: number }[] = [];
    for (let at = 0; at <= STATIC_ROUNDS; at++) {
      const reading = {
        ours: await throughput(ours, bench, STATIC_S),
        nginx: await throughput(nginx, bench, STATIC_S),
      };
      if (at > 0) rounds.push(reading);
    }
    return {
      ours: Math.round(median(rounds.map((one) => one.ours))),
      nginx: Math.round(median(rounds.map((one) => one.nginx))),
      ratio: round(median(rounds.map((one) => one.ours / one.nginx))),
      version: nginx.version,
    };
  } finally {
    await ours.stop();
    await nginx.stop();
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
