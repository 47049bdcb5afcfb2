import { join } from "node:path";
import { createOutputServer, type OutputServerOptions } from "../../src/dock/output/server.ts";
import { type Clock, systemClock } from "../../src/foundation/clock.ts";
import { type Answered, type Asked, askSocket, type HandMade, writeOutput } from "./build-output.ts";
import { temporaryDirectory } from "./trees.ts";

/** An output server in this process, whose clock stands still until it is moved. */
export type MovedOutput = AsyncDisposable & {
  readonly home: string;
  readonly socket: string;
  readonly lines: readonly string[];
  ask(path: string, asked?: Asked): Promise<Answered>;
  /** Moves its clock; what waited for that time goes on. */
  pass(seconds: number): void;
  restart(): Promise<void>;
};

const BORN = Date.parse("2030-01-01T00:00:00Z");

export async function serveMoved(
  made: HandMade,
  processes: NonNullable<OutputServerOptions["processes"]> = {},
): Promise<MovedOutput> {
  const place = await temporaryDirectory();
  const socket = join(place.path, "app.sock");
  const { clock, pass } = movedClock();
  const root = join(place.path, "tree");
  await writeOutput(root, made);
  const lines: string[] = [];
  const run = async () => {
    const server = createOutputServer({
      ...{ root, home: join(place.path, "home"), sockets: join(place.path, "s"), clock, bornAtMs: BORN },
      ...{ env: { PATH: process.env.PATH ?? "" }, deploymentUrl: "", allowNetworks: [], processes },
      write: (line) => void lines.push(line),
    });
    await new Promise<void>((done) => server.server.listen(socket, done));
    return server;
  };
  let server = await run();
  return {
    ...{ home: join(place.path, "home"), socket, lines, pass },
    ask: (path, asked) => askSocket(socket, path, asked),
    async restart() {
      await server.close(0);
      server = await run();
    },
    async [Symbol.asyncDispose]() {
      await server.close(0);
      await place[Symbol.asyncDispose]();
    },
  };
}

function movedClock(): { clock: Clock; pass(seconds: number): void } {
  let movedMs = 0;
  const waiting = new Set<{ readonly dueMs: number; readonly go: () => void }>();
  const clock: Clock = {
    now: () => new Date(BORN + movedMs),
    monotonicMs: () => systemClock.monotonicMs() + movedMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (ms <= 0) return resolve();
        const one = { dueMs: movedMs + ms, go: resolve };
        waiting.add(one);
        signal?.addEventListener("abort", () => {
          waiting.delete(one);
          reject(signal.reason);
        });
      }),
  };
  return {
    clock,
    pass(seconds) {
      movedMs += seconds * 1000;
      for (const one of waiting) {
        if (one.dueMs > movedMs) continue;
        waiting.delete(one);
        one.go();
      }
    },
  };
}
