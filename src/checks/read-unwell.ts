import { type QueryExecutorProvider, sql } from "kysely";
import type { Unwell } from "../deployments/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Displayed, ProbeType } from "./model.ts";

/** What any release needs, and what no release of ours mends. */
const STORES: ReadonlySet<ProbeType> = new Set(["postgres", "mysql", "mongodb", "redis", "rabbitmq"]);
/** What others say of themselves: no release of ours breaks it, and none mends it. */
const VENDORS: readonly ProbeType[] = ["statuspage", "browserbase"];
/** A row that nobody has judged again for so long has nobody who keeps it true. */
const KEPT_MS = 10_000;

type Row = { name: string; type: ProbeType; since: Date; displayed: Displayed };

/**
 * The critical checks of an environment that are down now. Not among them: what depends on another that is down, what
 * is in a window of maintenance, what a vendor says of itself, what no prober stands behind any more, and what was
 * never up: that is a mistake in a configuration, and must not stand in the way of the commit that mends it.
 */
export async function readUnwell(
  { db, clock }: { readonly db: QueryExecutorProvider; readonly clock: Clock },
  { projectId, environment }: { readonly projectId: string; readonly environment: string },
): Promise<Unwell[]> {
  const now = clock.now();
  const { rows } = await sql<Row>`
    select c.name, c.type, s.since, s.displayed
    from check_states s join checks c on c.id = s.check_id
    where c.project_id = ${projectId} and c.environment = ${environment} and c.retired_at is null
      and c.type <> all(${VENDORS}) and s.state = 'down' and c.policy ->> 'critical' = 'true'
      and coalesce(s.displayed ->> 'suppressedBy', '') = ''
      and (s.judge_at is null or s.judge_at > ${new Date(now.getTime() - KEPT_MS)})
      and exists (select from check_spans x where x.check_id = c.id and x.state in ('up', 'degraded'))
      and not exists (
        select from maintenance_windows w
        where w.project_id = c.project_id and w.environment = c.environment and w.from_at <= ${now}
          and coalesce(w.ended_at, w.to_at) > ${now} and (w.checks is null or w.checks ? c.name))
    order by s.since, c.name`.execute(db);
  return rows.map(({ name, type, since, displayed }) => ({
    name,
    of: STORES.has(type) ? "dependency" : "service",
    since,
    message: displayed.failure?.message ?? "it does not answer as it should",
  }));
}
