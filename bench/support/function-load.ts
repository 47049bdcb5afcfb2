import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type OutputProcess, startOutput } from "../../test/support/build-output.ts";

/** What is measured: a small JSON answer of a plain listener. */
const HANDLER = `(req, res) => {
  res.setHeader("content-type", "application/json");
  res.end(JSON.stringify({ hello: "world", url: req.url }));
}`;

export type Server = { readonly socket: string; stop(): Promise<void> };

/** A release with as many functions as are asked for, none of them started: `/api/f0`, `/api/f1`, … */
export async function startFunctions(count: number): Promise<Server & { readonly process: OutputProcess }> {
  const functions = Object.fromEntries(
    Array.from({ length: count }, (_, at) => [`api/f${at}`, `module.exports = ${HANDLER};`]),
  );
  const process = await startOutput({ functions }, {}, "ignore");
  return { socket: process.socket, process, stop: async () => process[Symbol.asyncDispose]() };
}

/** The same handler in a Node process that has nothing else to do: `http.createServer(handler)`. */
export async function startDirect(socket: string): Promise<Server> {
  const source = `require("node:http").createServer(${HANDLER})
    .listen(${JSON.stringify(socket)}, () => console.log("up"));`;
  const child: ChildProcess = spawn(process.execPath, ["-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (child.stdout) await once(child.stdout, "data");
  return {
    socket,
    async stop() {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Milliseconds of each first request. The pause is what the server has to get its next spare process ready. */
export async function coldStarts(
  server: Server,
  count: number,
  pauseMs: number,
  from = 0,
): Promise<number[]> {
  const agent = new http.Agent({ keepAlive: true });
  const samples: number[] = [];
  await timed(server.socket, "/none", agent);
  for (let at = 0; at < count; at++) {
    await sleep(pauseMs);
    samples.push(await timed(server.socket, `/api/f${from + at}`, agent));
  }
  agent.destroy();
  return samples;
}

/** Milliseconds of `count` requests, over `connections` connections that are each at one at a time. */
export async function warmRequests(server: Server, count: number, connections: number): Promise<number[]> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const samples: number[] = [];
  let left = count;
  const visit = async () => {
    while (left-- > 0) samples.push(await timed(server.socket, "/api/f0", agent));
  };
  await Promise.all(Array.from({ length: connections }, visit));
  agent.destroy();
  return samples;
}

function timed(socketPath: string, path: string, agent: http.Agent): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const started = performance.now();
  const request = http.get({ socketPath, path, agent, headers: { host: "bench.localhost" } }, (answer) => {
    answer.resume();
    answer.once("end", () => resolve(performance.now() - started));
  });
  request.once("error", reject);
  return promise;
}
