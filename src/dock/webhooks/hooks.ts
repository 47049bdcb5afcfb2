import type { Clock } from "../../foundation/clock.ts";
import type { Ids } from "../../foundation/ids.ts";
import { TEAM, USER } from "../dock.ts";
import type { DockDatabase, DockTx } from "../rows.ts";
import type { EventType } from "./events.ts";

/** What an event is about. */
export type About = {
  readonly projectId?: string;
  readonly deploymentId?: string;
  /** More fields of the payload. */
  readonly more?: Readonly<Record<string, unknown>>;
};

/**
 * Tells webhooks what happens. An event is a row in the transaction of what happened, so that it is sent exactly when
 * that is true; where nobody listens it costs nothing.
 */
export type Hooks = {
  emit(tx: DockTx, type: EventType, about: About): Promise<void>;
  /** After webhooks were added or removed. */
  reload(): Promise<void>;
  /** Until then the outbox may be filled by a transaction that is not committed yet. */
  restlessUntilMs(): number;
};

type Listener = {
  readonly id: string;
  readonly events: ReadonlySet<string>;
  readonly projects: readonly string[];
};

/** A transaction that said something is over after this. */
const RESTLESS_MS = 3_000;

export async function createHooks(deps: {
  db: DockDatabase;
  clock: Clock;
  ids: Ids;
  /** There is something to deliver. */
  onEvent: () => void;
}): Promise<Hooks> {
  let listeners = await load(deps.db);
  let restlessUntilMs = 0;
  return {
    restlessUntilMs: () => restlessUntilMs,
    async reload() {
      listeners = await load(deps.db);
    },
    async emit(tx, type, about) {
      const asked = listeners.filter(
        ({ events, projects }) =>
          events.has(type) &&
          (projects.length === 0 || (about.projectId !== undefined && projects.includes(about.projectId))),
      );
      if (asked.length === 0) return;
      const now = deps.clock.now();
      const payload = await payloadOf(tx, about);
      const event = { id: deps.ids("evt"), type, createdAt: now.getTime(), region: null, payload };
      const body = JSON.stringify(event);
      // One that is removed just now gets nothing, and must not make fail what happened.
      const there = await tx
        .selectFrom("webhooks")
        .select("id")
        .where(
          "id",
          "in",
          asked.map(({ id }) => id),
        )
        .forKeyShare()
        .execute();
      if (there.length === 0) return;
      await tx
        .insertInto("webhook_deliveries")
        .values(there.map(({ id }) => ({ webhook_id: id, event: type, body, created_at: now, next_at: now })))
        .execute();
      restlessUntilMs = deps.clock.monotonicMs() + RESTLESS_MS;
      deps.onEvent();
    },
  };
}

async function load(db: DockDatabase): Promise<Listener[]> {
  const rows = await db.selectFrom("webhooks").select(["id", "events", "project_ids"]).execute();
  return rows.map((row) => ({ id: row.id, events: new Set(row.events), projects: row.project_ids }));
}

async function payloadOf(tx: DockTx, about: About): Promise<Record<string, unknown>> {
  const base = {
    team: { id: TEAM.id },
    user: { id: USER.id },
    plan: "pro",
    ...(about.projectId === undefined ? {} : { project: { id: about.projectId } }),
  };
  if (about.deploymentId === undefined) return { ...base, ...about.more };
  const row = await tx
    .selectFrom("deployments")
    .select(["id", "name", "url", "meta", "target", "project_id", "error_code", "error_message"])
    .where("id", "=", about.deploymentId)
    .executeTakeFirst();
  if (!row) return { ...base, ...about.more };
  return {
    ...base,
    name: row.name,
    target: row.target,
    type: "LAMBDAS",
    url: row.url,
    regions: ["local"],
    project: { id: row.project_id },
    deployment: { id: row.id, name: row.name, url: row.url, meta: row.meta, inspectorUrl: null },
    links: { deployment: `http://${row.url}`, project: null },
    ...(row.error_code ? { errorCode: row.error_code, errorMessage: row.error_message } : {}),
    ...about.more,
  };
}
