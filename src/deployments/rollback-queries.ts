import type { Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { EnvironmentName } from "../targets/target.ts";
import { type Deployment, slotOf } from "./record.ts";
import { ACTIVE } from "./state.ts";
import { selectDeployments } from "./store.ts";
import { type EngineTables, type SelectedRow, toDeployment } from "./tables.ts";

/** More releases than are ever kept ready, and more than anyone queues. */
const PLACE_LIMIT = 100;

/** What competes for one place, and what could serve it again; newest first. */
export async function readPlace(
  db: Database<EngineTables>,
  projectId: string,
  slot: string,
): Promise<Deployment[]> {
  const rows = await selectDeployments(db)
    .where("project_id", "=", projectId)
    .where("slot", "=", slot)
    .where((eb) =>
      eb.or([
        eb("state", "in", ["queued", "live", ...ACTIVE]),
        eb.and([eb("state", "=", "superseded"), eb("live_at", "is not", null), eb("retired_at", "is", null)]),
      ]),
    )
    .orderBy("seq", "desc")
    .limit(PLACE_LIMIT)
    .execute();
  return rows.map((row) => toDeployment(row as SelectedRow));
}

/** The place that is meant. Previews have one for each branch: the one named, or the only one in use. */
export async function readSlot(
  db: Database<EngineTables>,
  projectId: string,
  environment: EnvironmentName,
  branch: string | undefined,
): Promise<string> {
  if (environment !== "preview" || branch !== undefined) return slotOf(environment, branch ?? null);
  const rows = await db
    .selectFrom("deployments")
    .select(["slot", "branch"])
    .distinct()
    .where("project_id", "=", projectId)
    .where("environment", "=", "preview")
    .where("state", "in", ["queued", "live", ...ACTIVE])
    .limit(11)
    .execute();
  const [only] = rows;
  if (only && rows.length === 1) return only.slot;
  if (!only) return slotOf(environment, null);
  throw new AppError("bad_request", "There are previews of several branches, so the request must name one.", {
    hint: `Send "branch": one of ${rows.map((row) => row.branch ?? "").join(", ")}.`,
  });
}
