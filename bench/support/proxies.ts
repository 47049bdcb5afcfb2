import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { readStat } from "./proc.ts";

/** A proxy under test, listening on loopback, in front of the shared upstream. */
export type Tested = {
  readonly name: string;
  readonly version: string;
  readonly port: number;
  /** The processes whose CPU time counts. */
  pids(): number[];
  stop(): Promise<void>;
};

export type Bench = {
  readonly dir: string;
  readonly upstreamSocket: string;
  readonly host: string;
};

const PACKAGES = {
  nginx: "nginx-light",
  haproxy: "haproxy",
  caddy: "caddy",
  wrk: "wrk",
  taskset: "util-linux",
};
const FOLDERS = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/sbin", "/bin"];

/** @throws Error that names the Debian package to install */
export function program(name: keyof typeof PACKAGES): string {
  const found = FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found) return found;
  throw new Error(
    `${name} is not installed, and this benchmark measures against it: apt-get install ${PACKAGES[name]}`,
  );
}

/** A single-worker nginx that answers everything with 1 KiB over a unix socket. */
export async function startUpstream(bench: Bench): Promise<Tested> {
  const config = join(bench.dir, "upstream.conf");
  const body = "x".repeat(1_024);
  writeFileSync(
    config,
    `worker_processes 1; pid ${bench.dir}/upstream.pid; error_log ${bench.dir}/upstream.err; daemon off;
     events { worker_connections 4096; }
     http { access_log off; keepalive_requests 1000000000;
       server { listen unix:${bench.upstreamSocket}; default_type text/plain; location / { return 200 "${body}"; } } }`,
  );
  const child = start(bench, "upstream", program("nginx"), [
    "-c",
    config,
    "-e",
    join(bench.dir, "upstream.err"),
  ]);
  await listening(bench, "upstream", { path: bench.upstreamSocket }, child);
  return { name: "upstream", version: "", port: 0, pids: () => family(child), stop: () => stop(child) };
}

export async function startNginx(bench: Bench): Promise<Tested> {
  const port = await freePort();
  const config = join(bench.dir, "nginx.conf");
  writeFileSync(
    config,
    `worker_processes 1; pid ${bench.dir}/nginx.pid; error_log ${bench.dir}/nginx.err; daemon off;
     events { worker_connections 4096; }
     http { access_log ${bench.dir}/nginx.log combined buffer=64k flush=1s; keepalive_requests 1000000000;
       upstream app { server unix:${bench.upstreamSocket}; keepalive 64; keepalive_requests 1000000000; }
       server { listen 127.0.0.1:${port}; location / { proxy_pass http://app; proxy_http_version 1.1;
         proxy_set_header Host $host; proxy_set_header Connection "";
         proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; } } }`,
  );
  const child = start(bench, "nginx", program("nginx"), ["-c", config, "-e", join(bench.dir, "nginx.err")]);
  return ready(bench, "nginx", versionOf("nginx", ["-v"]), port, child);
}

export async function startHaproxy(bench: Bench): Promise<Tested> {
  const port = await freePort();
  const config = join(bench.dir, "haproxy.cfg");
  writeFileSync(
    config,
    `global
  nbthread 1
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  timeout client 60s
  timeout server 60s
  timeout connect 5s
frontend bench
  bind 127.0.0.1:${port}
  default_backend app
backend app
  http-reuse always
  server app unix@${bench.upstreamSocket}
`,
  );
  return ready(
    bench,
    "haproxy",
    versionOf("haproxy", ["-v"]),
    port,
    start(bench, "haproxy", program("haproxy"), ["-f", config]),
  );
}

export async function startCaddy(bench: Bench): Promise<Tested> {
  const port = await freePort();
  const config = join(bench.dir, "Caddyfile");
  writeFileSync(
    config,
    `{
  admin off
  auto_https off
}
http://${bench.host}:${port} {
  bind 127.0.0.1
  log {
    output file ${bench.dir}/caddy.log
  }
  reverse_proxy unix/${bench.upstreamSocket} {
    transport http {
      keepalive_idle_conns_per_host 64
    }
  }
}
`,
  );
  const child = start(
    bench,
    "caddy",
    program("caddy"),
    ["run", "--config", config, "--adapter", "caddyfile"],
    {
      GOMAXPROCS: "1",
      HOME: bench.dir,
      XDG_DATA_HOME: bench.dir,
      XDG_CONFIG_HOME: bench.dir,
    },
  );
  return ready(bench, "caddy", versionOf("caddy", ["version"]), port, child);
}

export async function startHttpProxy3(bench: Bench): Promise<Tested> {
  const port = await freePort();
  const script = fileURLToPath(new URL("./http-proxy-3.ts", import.meta.url));
  const args = [script, String(port), bench.upstreamSocket, join(bench.dir, "http-proxy-3.log")];
  const manifest = new URL("../../node_modules/http-proxy-3/package.json", import.meta.url);
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  return ready(bench, "http-proxy-3", version, port, start(bench, "http-proxy-3", process.execPath, args));
}

/** Starts a program in the bench's folder, its output in a file there. */
export function start(
  bench: Bench,
  name: string,
  path: string,
  args: string[],
  env: Record<string, string> = {},
): ChildProcess {
  const output = openSync(join(bench.dir, `${name}.out`), "w");
  const child = spawn(path, args, {
    stdio: ["ignore", output, output],
    env: { PATH: FOLDERS.join(":"), ...env },
  });
  closeSync(output);
  return child;
}

async function ready(
  bench: Bench,
  name: string,
  version: string,
  port: number,
  child: ChildProcess,
): Promise<Tested> {
  await listening(bench, name, { host: "127.0.0.1", port }, child);
  return { name, version, port, pids: () => family(child), stop: () => stop(child) };
}

/** A process and its descendants. */
export function family(child: Pick<ChildProcess, "pid">): number[] {
  const pids = [child.pid ?? 0];
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    if (text !== "") pids.push(...text.split(" ").map(Number));
  }
  return pids;
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 3_000);
  await exited;
  clearTimeout(timer);
}

/** Pins every thread of a process to one CPU. */
export function pin(pid: number, cpu: number): void {
  execFileSync(program("taskset"), ["-acp", String(cpu), String(pid)], { stdio: "ignore" });
}

/** User and system time that the processes have used, in microseconds. */
export function cpuUs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + readStat(pid).cpuUs, 0);
}

export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function listening(
  bench: Bench,
  name: string,
  at: net.NetConnectOpts,
  child: ChildProcess,
): Promise<void> {
  for (let attempt = 0; attempt < 200 && child.exitCode === null; attempt++) {
    const up = await new Promise<boolean>((resolve) => {
      const probe = net.connect(at, () => resolve(true)).once("error", () => resolve(false));
      probe.once("connect", () => probe.destroy());
    });
    if (up) return;
    await sleep(50);
  }
  await stop(child);
  throw new Error(
    `${name} does not listen on ${JSON.stringify(at)}:\n${readFileSync(join(bench.dir, `${name}.out`), "utf8")}`,
  );
}

export function versionOf(name: "nginx" | "haproxy" | "caddy", args: string[]): string {
  const text = execFileSync("/bin/sh", ["-c", `${program(name)} ${args.join(" ")} 2>&1`], {
    encoding: "utf8",
  });
  return /\d+\.\d+(?:\.\d+)?/.exec(text)?.[0] ?? "unknown";
}

/** One answer's body and headers, to see that a proxy does what it is measured for. */
export async function get(port: number, host: string, headers: Record<string, string> = {}) {
  return new Promise<{ status: number; headers: http.IncomingHttpHeaders; body: string }>(
    (resolve, reject) => {
      const request = http.get(
        { host: "127.0.0.1", port, agent: false, headers: { host, ...headers } },
        (response) => {
          let body = "";
          response.on("data", (chunk) => {
            body += chunk;
          });
          response.once("end", () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
          );
        },
      );
      request.once("error", reject);
    },
  );
}
