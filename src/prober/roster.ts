import { type LoadedCheck, type LocationState, SHARDS } from "../checks/index.ts";
import type { Clock } from "../foundation/clock.ts";
import { messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";
import { prepareCheck, printOf } from "./live-check.ts";
import type { LoadChecks, LoadProbe } from "./ports.ts";
import type { Runner } from "./runner.ts";

export type RosterDeps = {
  readonly clock: Clock;
  readonly log: Log;
  readonly location: string;
  readonly runner: Runner;
  readonly loadChecks: LoadChecks;
  readonly loadProbe: LoadProbe;
  readFolds(checkIds: readonly string[]): Promise<ReadonlyMap<string, LocationState>>;
  /** The shards that are ours at this moment. */
  held(): ReadonlySet<number>;
};

export type Roster = {
  /** Reads the checks again, soon; `claimed` are ours now. */
  reload(claimed?: readonly number[]): void;
  /** Nothing of these runs any more when it resolves. */
  drop(shards: readonly number[], how: "drain" | "now"): Promise<void>;
  close(): Promise<void>;
};

const EVERY_MS = 30_000;
/** A deployment changes many checks in one go. */
const GATHER_MS = 50;
const RETRY_MS = 1_000;
const DRAIN_MS = 10_000;
/** Read and compared in one go, about. More would hold up the event loop, and with it what is due. */
const AT_ONCE = 100;
const BETWEEN_MS = 5;
/** Checks told apart by their probes; those without one of their own are not asked for, they report by themselves. */
const PASSIVE = new Set(["heartbeat"]);

/** Which checks we run: those of our shards that are to be asked from our location. */
export function keepRoster(deps: RosterDeps): Roster {
  const { runner, location } = deps;
  const stop = new AbortController();
  /** Given back as soon as their last rounds have ended. */
  const leaving = new Set<number>();
  const held = () => new Set([...deps.held()].filter((shard) => !leaving.has(shard)));

  async function load(): Promise<void> {
    const shards = [...held()];
    const each = Math.ceil((SHARDS * AT_ONCE) / Math.max(runner.size, 10 * AT_ONCE));
    for (let from = 0; from < shards.length && !stop.signal.aborted; from += each) {
      if (from > 0) await deps.clock.sleep(BETWEEN_MS, stop.signal).catch(() => {});
      await loadShards(new Set(shards.slice(from, from + each)));
    }
  }

  async function loadShards(shards: ReadonlySet<number>): Promise<void> {
    const all = await deps.loadChecks([...shards]);
    const ours = all.filter(({ policy, type }) => policy.locations.includes(location) && !PASSIVE.has(type));
    const ids = new Set(ours.map(({ id }) => id));
    for (const { check } of runner.all())
      if (!ids.has(check.id) && shards.has(check.shard)) void runner.remove(check.id, "now");
    const changed = ours.filter((check) => runner.get(check.id)?.print !== printOf(check));
    const unknown = changed.filter(({ id }) => !runner.get(id)).map(({ id }) => id);
    const folds = unknown.length > 0 ? await deps.readFolds(unknown) : new Map<string, LocationState>();
    for (const check of changed) await put(check, folds.get(check.id) ?? null);
  }

  async function put(check: LoadedCheck, read: LocationState | null): Promise<void> {
    const live = await prepareCheck(deps, check, null);
    // Lost while it was prepared.
    if (!held().has(check.shard)) return;
    live.state = runner.get(check.id)?.state ?? read;
    runner.add(live);
  }

  const loading = repeat(deps, load, stop.signal);
  return {
    reload(claimed = []) {
      for (const shard of claimed) leaving.delete(shard);
      loading.wake();
    },
    async drop(shards, how) {
      for (const shard of shards) leaving.add(shard);
      const ids = [...runner.all()].filter(({ check }) => shards.includes(check.shard)).map(idOf);
      const gone = Promise.all(ids.map((id) => runner.remove(id, how)));
      if (how === "now") return void (await gone);
      const patience = new AbortController();
      const late = deps.clock.sleep(DRAIN_MS, patience.signal).then(
        () => Promise.all(ids.map((id) => runner.remove(id, "now"))),
        () => [],
      );
      await Promise.race([gone, late]);
      patience.abort();
    },
    async close() {
      stop.abort();
      await loading.ended;
    },
  };
}

/** Every half a minute, and when somebody wakes it. */
function repeat({ clock, log }: RosterDeps, load: () => Promise<void>, stop: AbortSignal) {
  let nudge = new AbortController();

  async function run(): Promise<void> {
    while (!stop.aborted) {
      const pause = await load().then(
        () => EVERY_MS,
        (error) => {
          log.warn({ reason: messageOf(error) }, "the checks cannot be read; those that are known go on");
          return RETRY_MS;
        },
      );
      await clock.sleep(pause, AbortSignal.any([stop, nudge.signal])).catch(() => {});
      if (nudge.signal.aborted && !stop.aborted) {
        await clock.sleep(GATHER_MS, stop).catch(() => {});
        nudge = new AbortController();
      }
    }
  }

  const ended = run();
  return { wake: () => nudge.abort(), ended };
}

function idOf({ check }: { readonly check: LoadedCheck }): string {
  return check.id;
}
