import type { Database } from "../foundation/db.ts";
import type { EnvironmentName } from "../targets/target.ts";
import { selectDeployments } from "./ledger-queries.ts";
import type { State } from "./state.ts";
import { type EngineTables, type SelectedRow, toDeployment } from "./tables.ts";
import { type DeploymentView, viewsOf } from "./view.ts";

export type ListFilter = {
  readonly project?: string | undefined;
  readonly environment?: EnvironmentName | undefined;
  readonly state?: State | undefined;
  readonly limit: number;
};

/** Deployments, newest first. */
export async function listDeployments(
  db: Database<EngineTables>,
  { project, environment, state, limit }: ListFilter,
): Promise<DeploymentView[]> {
  let query = selectDeployments(db);
  if (project !== undefined) query = query.where("projects.name", "=", project);
  if (environment !== undefined) query = query.where("environment", "=", environment);
  if (state !== undefined) query = query.where("state", "=", state);
  const rows = await query.orderBy("seq", "desc").limit(limit).execute();
  return viewsOf(
    db,
    rows.map((row) => toDeployment(row as SelectedRow)),
  );
}
