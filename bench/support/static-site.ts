import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { pushSnapshot } from "../../src/gateway/index.ts";
import { startGatewayProcess } from "./gateway.ts";
import { type Bench, freePort, listening, program, start, stop, type Tested, versionOf } from "./proxies.ts";

const BODY = "<!doctype html><title>A page</title>".padEnd(10 * 1024, "x");

/** Our gateway with one static release: one page of 10 KiB. */
export async function startOurs(bench: Bench): Promise<Tested> {
  const gateway = await startGatewayProcess(bench, 1);
  const digest = createHash("sha1").update(BODY).digest("hex");
  const store = join(bench.dir, "store");
  mkdirSync(join(store, digest.slice(0, 2)), { recursive: true });
  writeFileSync(join(store, digest.slice(0, 2), digest.slice(2)), BODY);
  const file = {
    digest,
    size: BODY.length,
    type: "text/html; charset=utf-8",
    immutable: false,
    encodings: {},
  };
  const manifest = join(bench.dir, "site.json");
  const site = {
    version: 1,
    store,
    files: { "/page.html": file },
    routes: [],
    server: false,
    cleanUrls: false,
  };
  writeFileSync(manifest, JSON.stringify(site));
  await pushSnapshot(gateway.adminSocket, {
    version: 1,
    generation: 2,
    hosts: { [bench.host]: { targets: [{ release: "dpl_site", weight: 100 }], rollout: "site" } },
    releases: { dpl_site: { id: "dpl_site", project: "bench", manifest, socket: null } },
  });
  return gateway;
}

/** nginx with one worker that serves the same file from disk, `sendfile` and open files kept, access log on. */
export async function startNginxSite(bench: Bench): Promise<Tested> {
  const port = await freePort();
  const root = join(bench.dir, "www");
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, "page.html"), BODY);
  const config = join(bench.dir, "site.conf");
  writeFileSync(
    config,
    `worker_processes 1; pid ${bench.dir}/site.pid; error_log ${bench.dir}/site.err; daemon off;
     events { worker_connections 4096; }
     http { access_log ${bench.dir}/site.log combined buffer=64k flush=1s; keepalive_requests 1000000000;
       sendfile on; tcp_nopush on; open_file_cache max=100; types { text/html html; }
       server { listen 127.0.0.1:${port}; root ${root}; } }`,
  );
  const child = start(bench, "nginx-site", program("nginx"), [
    "-c",
    config,
    "-e",
    join(bench.dir, "site.err"),
  ]);
  await listening(bench, "nginx-site", { host: "127.0.0.1", port }, child);
  const version = versionOf("nginx", ["-v"]);
  return { name: "nginx", version, port, pids: () => [child.pid ?? 0], stop: () => stop(child) };
}

/** Requests a second of one round. @throws Error when an answer was not the page */
export async function throughput(site: Tested, bench: Bench, seconds: number): Promise<number> {
  const url = `http://127.0.0.1:${site.port}/page.html`;
  const args = ["-t1", "-c32", `-d${seconds}s`, "-H", `Host: ${bench.host}`, url];
  const { stdout } = await promisify(execFile)(program("wrk"), args);
  const failed = /Non-2xx.*: (\d+)|Socket errors: (.*)/.exec(stdout);
  if (failed) throw new Error(`${site.name} failed requests: ${failed[0]}`);
  return Number(/(\d+) requests in/.exec(stdout)?.[1]) / seconds;
}
