import type { Tx } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import { getProject } from "../projects/index.ts";
import type { FailoverPlace } from "./place.ts";
import { readPlace } from "./queries.ts";
import type { FailoverTables } from "./tables.ts";

/**
 * The failover of a project. `lock`: until the transaction ends nobody else changes it.
 * @throws AppError `not_found` for no such project, or one that has none.
 */
export async function findPlace(
  tx: Tx<FailoverTables>,
  projectName: string,
  options: { readonly lock: boolean } = { lock: false },
): Promise<FailoverPlace> {
  const { id } = await getProject(tx, projectName);
  const key = { projectId: id, environment: "production" };
  if (options.lock) {
    await tx.selectFrom("failovers").select("project_id").where("project_id", "=", id).forUpdate().execute();
  }
  const place = await readPlace(tx, key);
  if (place) return place;
  throw new AppError("not_found", `The project ${projectName} has no failover.`, {
    hint: "Write `failover: dock` under environments.production in its signalbox.yaml and deploy it to production.",
  });
}
