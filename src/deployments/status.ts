import type { Database } from "../foundation/db.ts";
import { noSuchDeployment } from "./cancel.ts";
import { loadDeployment } from "./ledger-queries.ts";
import type { Deployment } from "./record.ts";
import { movingServices } from "./services.ts";
import type { EngineTables } from "./tables.ts";
import { type DeploymentView, viewOne } from "./view.ts";

export type LogLine = { seq: number; at: string; stream: string; service: string; text: string };

export type Status = { deployment: DeploymentView; logs: LogLine[]; nextLog: number; logsComplete: boolean };

/** Lines in one answer; a reader asks again with `after`. */
const LOG_PAGE = 1_000;

/** The column is an `int`: a reader that wants no lines at all may ask for those after any number. */
const SEQ_MAX = 2 ** 31 - 1;

/** One deployment and its log after line `after`. @throws AppError `not_found`. */
export async function readStatus(db: Database<EngineTables>, id: string, after: number): Promise<Status> {
  // The log last: were the deployment read after it, "complete" could be said of lines that were not read.
  const deployment = await loadDeployment(db, id);
  if (!deployment) throw noSuchDeployment(id);
  const view = await viewOne(db, deployment);
  const rows = await db
    .selectFrom("deployment_logs")
    .select(["seq", "at", "stream", "service", "text"])
    .where("deployment_id", "=", id)
    .where("seq", ">", Math.min(after, SEQ_MAX))
    .orderBy("seq")
    .limit(LOG_PAGE)
    .execute();
  return {
    deployment: view,
    logs: rows.map((row) => ({ ...row, at: row.at.toISOString() })),
    nextLog: rows.at(-1)?.seq ?? after,
    logsComplete: (deployment.logsComplete || !hasBuilds(deployment)) && rows.length < LOG_PAGE,
  };
}

/** One that was never built has no log, and what is unchanged has its log elsewhere. */
function hasBuilds(deployment: Deployment): boolean {
  return movingServices(deployment).some((service) => service.targetDeploymentId !== null);
}
