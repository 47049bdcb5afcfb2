import { AppError } from "../foundation/errors.ts";
import type { Ledger, ProjectName } from "./ledger.ts";

/**
 * The project that a request means: the one named, or the only one there is.
 * @throws AppError `not_found` for an unknown name, `bad_request` when it must be named.
 */
export async function findProject(
  ledger: Pick<Ledger, "findProjects">,
  name: string | undefined,
): Promise<ProjectName> {
  const all = await ledger.findProjects(name);
  const [only] = all;
  if (only && all.length === 1) return only;
  if (name !== undefined) {
    throw new AppError("not_found", `There is no project "${name}".`, {
      hint: "GET /api/projects lists them; POST /api/projects makes one.",
    });
  }
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
