import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./instance.ts";
import { machineMs } from "./machine-clock.ts";
import { readStat } from "./proc.ts";

const PROGRAM = "/usr/bin/prometheus-blackbox-exporter";
const CONFIG = `modules:
  http_2xx:
    prober: http
    timeout: 5s
    http:
      preferred_ip_protocol: ip4
      fail_if_body_not_matches_regexp: ['"status":"pass"']
`;

/** Installs Debian's package where that is possible. Answers why it is not there, or null. */
export function installBlackbox(): string | null {
  if (existsSync(PROGRAM)) return null;
  if (process.getuid?.() !== 0) return "prometheus-blackbox-exporter is not installed, and only root can.";
  const args = ["install", "-y", "--no-install-recommends", "prometheus-blackbox-exporter"];
  const variables = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const done = spawnSync("apt-get", args, { env: variables, encoding: "utf8" });
  if (done.status === 0 && existsSync(PROGRAM)) return null;
  return `apt-get could not install it: ${(done.stderr ?? "").trim().split("\n").at(-1)}`;
}

/** Drives it at `perSecond` for `ms`; CPU time a probe, of its process alone, and the probes that it called good. */
export async function driveBlackbox(options: {
  dir: string;
  pin: number;
  perSecond: number;
  ms: number;
  targetOf: (n: number) => string;
}): Promise<{ cpuMsPerProbe: number; probes: number; failed: number }> {
  const config = join(options.dir, "blackbox.yml");
  await writeFile(config, CONFIG);
  const port = await freePort();
  const listen = `--web.listen-address=127.0.0.1:${port}`;
  const child = spawn("taskset", ["-c", String(options.pin), PROGRAM, `--config.file=${config}`, listen], {
    stdio: "ignore",
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const probe = (n: number) => askFor(agent, port, options.targetOf(n));
  try {
    await untilUp(() => probe(0));
    await drive(probe, options.perSecond, 3_000);
    const before = cpuOf(child);
    const { asked, failed } = await drive(probe, options.perSecond, options.ms);
    return { cpuMsPerProbe: (cpuOf(child) - before) / 1_000 / asked, probes: asked, failed };
  } finally {
    agent.destroy();
    child.kill("SIGKILL");
  }
}

async function drive(probe: (n: number) => Promise<boolean>, perSecond: number, ms: number) {
  const startedAt = machineMs();
  const running: Promise<boolean>[] = [];
  for (let asked = 0; ; ) {
    const elapsed = machineMs() - startedAt;
    if (elapsed >= ms) break;
    for (const due = Math.floor((elapsed * perSecond) / 1_000); asked < due; asked++)
      running.push(probe(asked));
    await sleep(1);
  }
  const failed = (await Promise.all(running)).filter((good) => !good).length;
  return { asked: running.length, failed };
}

function askFor(agent: Agent, port: number, target: string): Promise<boolean> {
  const path = `/probe?target=${encodeURIComponent(target)}&module=http_2xx`;
  return new Promise((resolve) => {
    const asking = request({ host: "127.0.0.1", port, path, agent }, (answer) => {
      let text = "";
      answer.setEncoding("latin1").on("data", (chunk: string) => {
        text += chunk;
      });
      answer.on("end", () => resolve(/^probe_success 1$/m.test(text)));
    });
    asking.on("error", () => resolve(false)).end();
  });
}

async function untilUp(look: () => Promise<boolean>): Promise<void> {
  for (let left = 100; left > 0; left--) {
    if (await look()) return;
    await sleep(50);
  }
  throw new Error("prometheus-blackbox-exporter did not answer within five seconds.");
}

function cpuOf({ pid }: ChildProcess): number {
  return readStat(pid ?? 0).cpuUs;
}
