import type { Clock } from "../../foundation/clock.ts";
import { AppError } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import type { Project } from "./queries.ts";

export type ProjectLink = Readonly<Record<string, unknown>>;
export type LinkInput = {
  readonly type: "github" | "gitlab" | "bitbucket";
  /** `owner/name`. */
  readonly repo: string;
  readonly productionBranch?: string | undefined;
};

/** The `link` of a project, in the shape of its Git host. It is shown to clients; the dock pulls nothing by itself. */
export function linkOf(input: LinkInput, clock: Clock): ProjectLink {
  const at = clock.now().getTime();
  const parts = input.repo.split("/");
  const name = parts.pop() ?? "";
  const owner = parts.join("/");
  if (name === "" || owner === "") {
    throw new AppError("bad_request", `"${input.repo.slice(0, 200)}" is no repository.`, {
      hint: "Name it as owner/name.",
    });
  }
  const shared = {
    type: input.type,
    productionBranch: input.productionBranch ?? "main",
    deployHooks: [],
    gitCredentialId: "",
    sourceless: true,
    createdAt: at,
    updatedAt: at,
  };
  if (input.type === "github") return { ...shared, org: owner, repo: name, repoId: 0, repoOwnerId: 0 };
  if (input.type === "bitbucket")
    return { ...shared, owner, name, slug: name, uuid: input.repo, workspaceUuid: owner };
  return {
    ...shared,
    projectId: input.repo,
    projectName: name,
    projectNamespace: owner,
    projectNameWithNamespace: input.repo,
    projectUrl: `https://gitlab.com/${input.repo}`,
  };
}

export async function setLink(dock: Dock, project: Project, link: ProjectLink | null): Promise<void> {
  await dock.db
    .updateTable("projects")
    .set({ link: link === null ? null : JSON.stringify(link), updated_at: dock.clock.now() })
    .where("id", "=", project.id)
    .execute();
}
