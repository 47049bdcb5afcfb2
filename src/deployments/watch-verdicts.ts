import { systemActor } from "../access/index.ts";
import { AppError, messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";
import { createRuns } from "../foundation/runs.ts";
import type { EngineDeps } from "./engine.ts";
import { wakeWaiting } from "./gate-subject.ts";
import type { ReadUnwell, Unwell } from "./ports.ts";
import type { Deployment } from "./record.ts";
import { rollbackDeployment } from "./rollback.ts";

const LOOK_MS = 5_000;
/** No configuration asks for more. */
const LONGEST_WATCH_MS = 86_400_000;

type Watched = Pick<Deployment, "state" | "liveAt" | "rollbackOf" | "plan" | "facts">;

/**
 * The check for which a live deployment is to be taken back: one of a service that was well when it began to take
 * traffic and went down within its watch. Null: none. One that a rollback put back into service is left alone, so
 * nothing goes round in a circle.
 */
export function reasonToGoBack(live: Watched, unwell: readonly Unwell[]): Unwell | null {
  const { state, liveAt, rollbackOf, plan, facts } = live;
  const watchMs = plan?.watchMs ?? 0;
  if (state !== "live" || liveAt === null || rollbackOf !== null || watchMs === 0) return null;
  const from = facts.shifting?.atMs ?? liveAt.getTime();
  const until = liveAt.getTime() + watchMs;
  const isItsOwn = ({ of, since }: Unwell) =>
    of === "service" && since.getTime() >= from && since.getTime() < until;
  return unwell.find(isItsOwn) ?? null;
}

type WatchDeps = EngineDeps & { readonly readUnwell: ReadUnwell; readonly log: Log };

/**
 * Takes back what went live lately and is found down, and wakes what waits for a data store. Any number of control
 * planes may do it: a rollback by the same key happens once, and only from the deployment that was judged.
 */
export function watchVerdicts(deps: WatchDeps): { look(): void; close(): Promise<void> } {
  const stopping = new AbortController();
  const runs = createRuns(async () => {
    try {
      await wakeWaiting(deps.db, { projectId: null, environment: null });
      for (const id of await recentlyLive(deps)) await lookAt(deps, id);
    } catch (error) {
      deps.log.warn({ reason: messageOf(error) }, "the verdicts on live deployments could not be read");
    }
  }, stopping.signal);
  const look = () => runs.wake("all");
  const timer = setInterval(look, LOOK_MS);
  return {
    look,
    async close() {
      clearInterval(timer);
      stopping.abort();
      await runs.allEnded();
    },
  };
}

async function recentlyLive({ db, clock }: WatchDeps): Promise<string[]> {
  const rows = await db
    .selectFrom("deployments")
    .select("id")
    .where("state", "=", "live")
    .where("environment", "!=", "preview")
    .where("live_at", ">", new Date(clock.now().getTime() - LONGEST_WATCH_MS))
    .execute();
  return rows.map(({ id }) => id);
}

async function lookAt(deps: WatchDeps, id: string): Promise<void> {
  const live = await deps.ledger.load(id);
  if (!live || (live.plan?.watchMs ?? 0) === 0) return;
  const found = reasonToGoBack(live, await deps.readUnwell(live));
  if (!found) return;
  const { project, environment } = live;
  const reason = `the check ${found.name} went down: ${found.message}`;
  const input = { environment, project, reason, from: id };
  try {
    await rollbackDeployment(deps, systemActor("health"), input, `health:${id}`);
    deps.log.warn({ deployment: id, reason }, "a live deployment was taken back");
  } catch (error) {
    // Nothing to go back to, or somebody was faster: neither is mended by trying harder.
    if (!(error instanceof AppError)) throw error;
    deps.log.warn({ deployment: id, reason, error: error.message }, "a live deployment is down");
  }
}
