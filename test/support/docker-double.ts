import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type DoubleService = { running: number; wanted: number; update?: string };

/**
 * A Docker Engine's API, by its Unix socket and by TCP, as far as the probe meets it: inspecting a container, listing
 * services by a prefix of their names, its headers, its chunked answers and its errors.
 */
export async function dockerDouble() {
  const dir = mkdtempSync(join(tmpdir(), "docker-"));
  const path = join(dir, "docker.sock");
  const containers = new Map<string, { RestartCount: number; State: Record<string, unknown> }>();
  const services = new Map<string, DoubleService>();
  const state = { isManager: true };
  const answer = (url: URL): [number, unknown] => {
    const inspected = /^(?:\/v1\.\d+)?\/containers\/([^/]+)\/json$/.exec(url.pathname)?.[1];
    if (inspected !== undefined) {
      const name = decodeURIComponent(inspected);
      const found = containers.get(name);
      if (found === undefined) return [404, { message: `No such container: ${name}` }];
      return [200, { Id: "f".repeat(64), Name: `/${name}`, Image: "sha256:0", ...found }];
    }
    if (url.pathname !== "/services") return [404, { message: "page not found" }];
    if (!state.isManager) return [503, { message: "This node is not a swarm manager." }];
    const wanted: string[] = JSON.parse(url.searchParams.get("filters") ?? "{}").name ?? [];
    const withStatus = url.searchParams.get("status") === "true";
    const listed = [...services].filter(([name]) => wanted.some((each) => name.startsWith(each)));
    return [
      200,
      listed.map(([name, { running, wanted: desired, update }]) => ({
        ID: `id_${name}`,
        Spec: { Name: name, Mode: { Replicated: { Replicas: desired } } },
        ...(update === undefined ? {} : { UpdateStatus: { State: update } }),
        ...(withStatus
          ? { ServiceStatus: { RunningTasks: running, DesiredTasks: desired, CompletedTasks: 0 } }
          : {}),
      })),
    ];
  };
  const handle: http.RequestListener = (request, response) => {
    const [status, body] = answer(new URL(request.url ?? "", "http://docker"));
    const headers = {
      "api-version": "1.47",
      server: "Docker/27.3.1 (linux)",
      "content-type": "application/json",
    };
    response.writeHead(status, headers);
    // In two pieces: the engine streams its answers.
    response.write(JSON.stringify(body).slice(0, 10));
    response.end(`${JSON.stringify(body).slice(10)}\n`);
  };
  const [unix, tcp] = [http.createServer(handle), http.createServer(handle)];
  await Promise.all([once(unix.listen(path), "listening"), once(tcp.listen(0, "127.0.0.1"), "listening")]);
  return {
    unix: `unix://${path}`,
    tcp: `tcp://127.0.0.1:${(tcp.address() as AddressInfo).port}`,
    state,
    services,
    container: (name: string, Status: string, more: Record<string, unknown> = {}, RestartCount = 0) => {
      const is = { Running: Status === "running", Paused: Status === "paused", Dead: Status === "dead" };
      const State = { Status, ...is, Restarting: false, OOMKilled: false, Pid: 0, ExitCode: 0, ...more };
      containers.set(name, { RestartCount, State });
    },
    [Symbol.asyncDispose]: async () => {
      for (const server of [unix, tcp]) {
        server.closeAllConnections();
        await new Promise((closed) => server.close(closed));
      }
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
