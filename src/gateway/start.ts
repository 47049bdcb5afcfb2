import { mkdir } from "node:fs/promises";
import net, { type AddressInfo } from "node:net";
import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import type { Clock } from "../foundation/clock.ts";
import { AppError, errorCodeOf, messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";
import { type AdminVerbs, startAdmin } from "./admin.ts";
import { type Crew, createCrew, listenError } from "./crew.ts";
import type { Snapshot } from "./snapshot.ts";
import { readState, writeState } from "./state-file.ts";
import { parseSnapshot } from "./validate.ts";

export type GatewayOptions = {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Worker processes. 0: one for each CPU, at least 2 and at most 4. */
  readonly workers: number;
  /** Path of the unix socket of the admin protocol. */
  readonly adminSocket: string;
  /** Path of the file that holds the last snapshot. */
  readonly stateFile: string;
  /** Path of the access log (JSON lines, appended); null: none. */
  readonly accessLog: string | null;
  /** Signs sticky cookies; the same in every gateway that serves the same hosts. At least 16 characters. */
  readonly cookieSecret: string;
  readonly log: Log;
  readonly clock: Clock;
  /** How long WebSockets and event streams of a drained release, or of a replaced worker, may go on. Default 30,000. */
  readonly drainTimeoutMs?: number;
};

export type RunningGateway = { readonly port: number; close(): Promise<void> };

const STOP_GRACE_MS = 5_000;

/**
 * Starts the gateway: its workers serve the snapshot of the state file, if there is one, before anybody is asked.
 * One a process, since the workers are `node:cluster`'s.
 * @throws AppError `conflict` for a port or an admin socket in use; others for what cannot be read or opened
 */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { host, log, clock } = options;
  if (options.cookieSecret.length < 16) {
    throw new AppError("bad_request", "The cookie secret is shorter than 16 characters.", {
      hint: "Give at least 16 random characters.",
    });
  }
  const snapshot = await readState(options.stateFile);
  if (options.accessLog !== null) await mkdir(dirname(options.accessLog), { recursive: true });
  const port = await probePort(host, options.port);
  const count = options.workers > 0 ? options.workers : defaultWorkers();
  const worker = {
    host,
    port,
    accessLog: options.accessLog,
    cookieSecret: options.cookieSecret,
    drainTimeoutMs: options.drainTimeoutMs ?? 30_000,
    workers: count,
  };
  const crew = createCrew({ options: worker, log, clock });
  // The socket first: a second gateway on the same folder must not get as far as taking connections.
  const { promise: serving, resolve: isServing } = Promise.withResolvers<void>();
  const verbs = adminVerbs({ crew, snapshot, serving, stateFile: options.stateFile, clock });
  const admin = await startAdmin(options.adminSocket, verbs);
  try {
    await crew.start(count, snapshot);
  } catch (error) {
    await Promise.all([admin.close(), crew.stop(0)]);
    throw error;
  }
  isServing();
  log.info({ host, port, workers: count, generation: snapshot?.generation ?? 0 }, "gateway is serving");
  return {
    port,
    close: async () => {
      await admin.close();
      await crew.stop(STOP_GRACE_MS);
    },
  };
}

function defaultWorkers(): number {
  // Two even on one CPU: while one of them dies, the other holds the port.
  return Math.max(2, Math.min(4, availableParallelism()));
}

/** The verbs of the admin socket over the crew: pushes and reloads one after the other. */
function adminVerbs(deps: {
  crew: Crew;
  snapshot: Snapshot | null;
  serving: Promise<void>;
  stateFile: string;
  clock: Clock;
}): AdminVerbs {
  const { crew, stateFile, serving } = deps;
  const startedAt = deps.clock.now().toISOString();
  let generation = deps.snapshot?.generation ?? 0;
  const oneAtATime = queue();
  return {
    push: async (value) => {
      const snapshot = parseSnapshot(value);
      await serving;
      return oneAtATime(async () => {
        if (snapshot.generation <= generation) throw staleGeneration(snapshot.generation, generation);
        // Side by side: what answers wrongly now must not wait for the disk. Acknowledged when both are done; after a
        // crash before that, the older one is served until whoever pushed this one, unacknowledged, pushes again.
        await Promise.all([writeState(stateFile, snapshot), crew.push(snapshot)]);
        generation = snapshot.generation;
        return { generation };
      });
    },
    generation: () => ({ generation }),
    counters: async () => ({ startedAt, generation, releases: await crew.counters() }),
    reload: async () => {
      await serving;
      return oneAtATime(async () => ({ workers: await crew.reload() }));
    },
  };
}

function staleGeneration(pushed: number, served: number): AppError {
  return new AppError("conflict", `Generation ${pushed} is not newer than ${served}, which is served.`, {
    hint: "Read the newest state and push it under a higher generation.",
    details: { generation: served },
  });
}

function queue(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const next = last.then(task, task);
    last = next.catch(() => undefined);
    return next;
  };
}

/**
 * The port to listen on, tried here first: a port in use is refused with a sentence, and 0 becomes one number for
 * all.
 */
async function probePort(host: string, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const probe = net.createServer();
  probe.once("error", (error) =>
    reject(listenError({ host, port }, { code: errorCodeOf(error) ?? "", message: messageOf(error) })),
  );
  probe.listen({ host, port, exclusive: true }, () => {
    const { port: found } = probe.address() as AddressInfo;
    probe.close(() => resolve(found));
  });
  return promise;
}
