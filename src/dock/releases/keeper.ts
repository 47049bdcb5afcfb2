import type { Clock } from "../../foundation/clock.ts";
import type { Log } from "../../foundation/log.ts";
import type { AppSpec, Runner } from "../run/run.ts";
import type { GatewayLink } from "../traffic/gateway-link.ts";
import type { TrafficState } from "../traffic/snapshot.ts";
import { wantedReleases } from "./wanted.ts";

/** Keeps the processes of wanted releases up and lets the others go once they are drained. */
export type Keeper = {
  /**
   * Runs `work` with these releases up, and keeps them up meanwhile. Static ones always are.
   * @throws AppError when one does not come up.
   */
  withUp<T>(deploymentIds: readonly string[], work: () => Promise<T>): Promise<T>;
  /** Stops what is wanted no longer. Returns at once. */
  sweep(): void;
  /** After a start of the dock: adopts what runs, starts what should. */
  adopt(): Promise<void>;
  close(): void;
};

const START_TIMEOUT_MS = 60_000;
// Longer than the gateway's own 30 s, after which it ends WebSockets: the message under way (5 s) and the close (5 s)
// still need the process.
const DRAIN_TIMEOUT_MS = 40_000;
const DRAIN_POLL_MS = 250;

type Deps = {
  readonly runner: Runner;
  readonly link: GatewayLink;
  readonly clock: Clock;
  readonly log: Log;
  readonly state: () => TrafficState;
  readonly specOf: (deploymentId: string) => Promise<AppSpec>;
};
type House = {
  readonly deps: Deps;
  /** How many verbs need a release up now. */
  readonly pins: Map<string, number>;
  /** Being drained or stopped. */
  readonly retiring: Set<string>;
  /** Being killed now: a start must wait for its end. */
  readonly stopping: Map<string, Promise<void>>;
  readonly closing: AbortController;
};

export function createKeeper(deps: Deps): Keeper {
  const closing = new AbortController();
  const house: House = { deps, pins: new Map(), retiring: new Set(), stopping: new Map(), closing };
  return {
    withUp: (ids, work) => withUp(house, ids, work),
    sweep: () => sweep(house),
    adopt: () => adopt(deps),
    close: () => closing.abort(new Error("the dock is closing")),
  };
}

async function withUp<T>(house: House, ids: readonly string[], work: () => Promise<T>): Promise<T> {
  const { pins } = house;
  for (const id of ids) pins.set(id, (pins.get(id) ?? 0) + 1);
  try {
    for (const id of ids) await ensureUp(house, id);
    return await work();
  } finally {
    for (const id of ids) {
      const left = (pins.get(id) ?? 1) - 1;
      if (left > 0) pins.set(id, left);
      else pins.delete(id);
    }
  }
}

async function ensureUp({ deps, stopping }: House, id: string): Promise<void> {
  if (!deps.state().releases.get(id)?.socket) return;
  await stopping.get(id);
  if (deps.runner.state(id).status === "up") return;
  await deps.runner.start(await deps.specOf(id), AbortSignal.timeout(START_TIMEOUT_MS));
}

function sweep(house: House): void {
  const { deps, retiring } = house;
  if (house.closing.signal.aborted) return;
  const wanted = wantedReleases(deps.state(), deps.clock.now());
  for (const { id, socket } of deps.state().releases.values()) {
    if (!socket || wanted.has(id) || house.pins.has(id) || retiring.has(id)) continue;
    if (deps.runner.state(id).status === "stopped") continue;
    retiring.add(id);
    retire(house, id)
      .catch((error) => deps.log.error({ err: error, deploymentId: id }, "could not stop a release"))
      .finally(() => retiring.delete(id));
  }
}

/** Waits until the gateway has nothing in flight for it, then ends the process, unless it became wanted again. */
async function retire(house: House, id: string): Promise<void> {
  const { deps, stopping, closing } = house;
  const { clock } = deps;
  const needed = () =>
    closing.signal.aborted || house.pins.has(id) || wantedReleases(deps.state(), clock.now()).has(id);
  const deadline = clock.monotonicMs() + DRAIN_TIMEOUT_MS;
  while (!needed() && clock.monotonicMs() < deadline && !(await drained(deps, id))) {
    await clock.sleep(DRAIN_POLL_MS, closing.signal).catch(() => {});
  }
  // Asked in the turn that the stop begins in: whoever pins it later waits for `stopping`.
  if (needed()) return;
  const stopped = deps.runner.stop(id);
  stopping.set(id, stopped);
  await stopped.finally(() => stopping.delete(id));
  deps.log.info({ deploymentId: id }, "stopped a release that nothing points to");
}

async function drained({ link }: Deps, id: string): Promise<boolean> {
  try {
    return ((await link.counters())[id]?.inFlight ?? 0) === 0;
  } catch {
    // No gateway answers: whether requests are in flight is not known, so the time decides.
    return false;
  }
}

async function adopt(deps: Deps): Promise<void> {
  const specs: AppSpec[] = [];
  for (const id of wantedReleases(deps.state(), deps.clock.now())) {
    try {
      specs.push(await deps.specOf(id));
    } catch (error) {
      deps.log.error({ err: error, deploymentId: id }, "a release cannot be run again");
    }
  }
  await deps.runner.adopt(specs);
}
