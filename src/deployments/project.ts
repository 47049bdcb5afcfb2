import type { Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { EngineTables } from "./tables.ts";

/**
 * The project that a request means: the one named, or the only one there is.
 * @throws AppError `not_found` for an unknown name, `bad_request` when it must be named.
 */
export async function findProject(
  db: Database<EngineTables>,
  name: string | undefined,
): Promise<{ id: string; name: string }> {
  const query = db.selectFrom("projects").select(["id", "name"]);
  if (name !== undefined) {
    const found = await query.where("name", "=", name).executeTakeFirst();
    if (found) return found;
    throw new AppError("not_found", `There is no project "${name}".`, {
      hint: "GET /api/projects lists them; POST /api/projects makes one.",
    });
  }
  const all = await query.orderBy("name").limit(11).execute();
  const [only] = all;
  if (only && all.length === 1) return only;
  if (!only) {
    throw new AppError("bad_request", "There is no project yet.", {
      hint: "Make one: POST /api/projects {name}.",
    });
  }
  const names = all.slice(0, 10).map((project) => project.name);
  throw new AppError("bad_request", "There are several projects, so the request must name one.", {
    hint: `Send "project": one of ${names.join(", ")}${all.length > 10 ? ", …" : ""}.`,
  });
}
