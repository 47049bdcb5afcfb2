import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Gateway, startGatewayProcess, visitorCookies } from "./support/gateway.ts";
import { median } from "./support/proc.ts";
import {
  type Bench,
  cpuUs,
  get,
  pin,
  program,
  startCaddy,
  startHaproxy,
  startHttpProxy3,
  startNginx,
  startUpstream,
  type Tested,
} from "./support/proxies.ts";

/**
 * CPU time for each proxied request: 1 KiB answers, 32 keep-alive connections, access log on for all; ours also
 * verifies a sticky cookie, splits traffic and counts. Rounds are interleaved and ratios are taken within a round, so
 * that a noisy machine disturbs both sides of each.
 */
const ROUNDS = 7;
const ROUND_S = 2;
// Compilers of hot code need some tens of thousands of requests, however slow the machine is at the moment.
const WARM_UP_REQUESTS = 100_000;
const WARM_UP_ROUNDS = 10;
const CONNECTIONS = 32;
const TARGETS = { caddy: 0.75, nginx: 2.6, "http-proxy-3": 0.4 } as const;

type Reading = { cpuUsPerRequest: number; requestsPerS: number; p50Ms: number; p99Ms: number };

export async function run() {
  const dir = mkdtempSync(join(tmpdir(), "bench-gateway-"));
  // nginx's workers drop root and still have to reach the app's socket.
  chmodSync(dir, 0o755);
  const bench: Bench = { dir, upstreamSocket: join(dir, "app.sock"), host: "bench.localhost" };
  const proxies: Tested[] = [];
  const upstream = await startUpstream(bench);
  try {
    const gateway = await startGatewayProcess(bench, 1);
    proxies.push(gateway);
    for (const startPeer of [startNginx, startHaproxy, startCaddy, startHttpProxy3]) {
      proxies.push(await startPeer(bench));
    }
    const script = await writeLoad(bench, gateway);
    for (const proxy of proxies) await checkAnswer(proxy, bench);
    // The proxy alone on one CPU; load and upstream share the other.
    if (availableParallelism() > 1) {
      for (const pid of upstream.pids()) pin(pid, 1);
      for (const pid of proxies.flatMap((proxy) => proxy.pids())) pin(pid, 0);
    }
    return summarize(proxies, await measure(proxies, bench, script));
  } finally {
    await Promise.all([...proxies, upstream].map((proxy) => proxy.stop()));
    rmSync(dir, { recursive: true, force: true });
  }
}

async function measure(proxies: Tested[], bench: Bench, script: string): Promise<Map<string, Reading[]>> {
  const readings = new Map(proxies.map((proxy) => [proxy.name, [] as Reading[]]));
  for (const proxy of proxies) {
    let requests = 0;
    for (let round = 0; round < WARM_UP_ROUNDS && requests < WARM_UP_REQUESTS; round++) {
      requests += (await load(proxy, bench, script)).requestsPerS * ROUND_S;
    }
  }
  for (let round = 0; round < ROUNDS; round++) {
    // Each round starts with another proxy, so that none always follows the same one.
    for (let i = 0; i < proxies.length; i++) {
      const proxy = proxies[(i + round) % proxies.length];
      if (proxy) readings.get(proxy.name)?.push(await load(proxy, bench, script));
    }
  }
  return readings;
}

/** One round of wrk against one proxy. */
async function load(proxy: Tested, bench: Bench, script: string): Promise<Reading> {
  const pids = proxy.pids();
  const before = cpuUs(pids);
  const wrk = [program("wrk"), "-t1", `-c${CONNECTIONS}`, `-d${ROUND_S}s`, "--latency", "-s", script];
  const pinned = availableParallelism() > 1 ? [program("taskset"), "-c", "1", ...wrk] : wrk;
  const [command = "", ...args] = [...pinned, `http://127.0.0.1:${proxy.port}/path?query=1`];
  const { stdout } = await promisify(execFile)(command, args);
  const used = cpuUs(pids) - before;
  const failed = /Non-2xx.*: (\d+)|Socket errors: (.*)/.exec(stdout);
  if (failed) throw new Error(`${proxy.name} failed requests: ${failed[0]} (${bench.host})`);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  return {
    cpuUsPerRequest: used / requests,
    requestsPerS: requests / ROUND_S,
    p50Ms: milliseconds(stdout, "50%"),
    p99Ms: milliseconds(stdout, "99%"),
  };
}

function milliseconds(stdout: string, percentile: string): number {
  const match = new RegExp(`${percentile}\\s+([\\d.]+)(us|ms|s)`).exec(stdout);
  const factor = { us: 0.001, ms: 1, s: 1_000 }[match?.[2] ?? "ms"] ?? 1;
  return Number(match?.[1]) * factor;
}

/** The load: visitors who come back, each with their sticky cookie. All proxies are sent the same bytes. */
async function writeLoad(bench: Bench, gateway: Gateway): Promise<string> {
  const cookies = await visitorCookies(gateway, bench.host, 64);
  const script = join(bench.dir, "load.lua");
  writeFileSync(
    script,
    `local cookies = {${cookies.map((cookie) => JSON.stringify(cookie)).join(",")}}
local requests = {}
local turn = 0
init = function()
  for i, cookie in ipairs(cookies) do
    requests[i] = wrk.format("GET", nil, {Host = "${bench.host}", Cookie = cookie,
      ["User-Agent"] = "wrk", Accept = "*/*"})
  end
end
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
`,
  );
  return script;
}

async function checkAnswer(proxy: Tested, bench: Bench): Promise<void> {
  const { status, body } = await get(proxy.port, bench.host);
  if (status === 200 && body.length === 1_024) return;
  const output = readFileSync(
    join(bench.dir, `${proxy.name === "signalbox" ? "gateway" : proxy.name}.out`),
    "utf8",
  );
  throw new Error(
    `${proxy.name} answers ${status} with ${body.length} bytes instead of 200 with 1024.\n${output}`,
  );
}

function summarize(proxies: Tested[], readings: Map<string, Reading[]>) {
  const of = (name: string, field: keyof Reading) =>
    round(median((readings.get(name) ?? []).map((reading) => reading[field])));
  const ours = readings.get("signalbox") ?? [];
  const peers = proxies.filter((proxy) => proxy.name !== "signalbox");
  const ratios = Object.fromEntries(
    peers.map(({ name }) => {
      const theirs = readings.get(name) ?? [];
      const each = ours.map(
        (reading, i) => reading.cpuUsPerRequest / (theirs[i]?.cpuUsPerRequest ?? Number.NaN),
      );
      return [name, round(median(each))];
    }),
  );
  const reached = Object.entries(TARGETS).every(([name, target]) => (ratios[name] ?? Infinity) <= target);
  return {
    name: "gateway",
    unit: "CPU µs a request",
    ours: of("signalbox", "cpuUsPerRequest"),
    peers: Object.fromEntries(
      peers.map(({ name, version }) => [name, { version, value: of(name, "cpuUsPerRequest") }]),
    ),
    ratios,
    target: Object.entries(TARGETS)
      .map(([name, target]) => `≤ ${target} × ${name}`)
      .join(", "),
    pass: reached,
    requestsPerS: Object.fromEntries(proxies.map(({ name }) => [name, of(name, "requestsPerS")])),
    p50Ms: Object.fromEntries(proxies.map(({ name }) => [name, of(name, "p50Ms")])),
    p99Ms: Object.fromEntries(proxies.map(({ name }) => [name, of(name, "p99Ms")])),
    node: process.version,
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
