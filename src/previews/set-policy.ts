import { type Actor, audit, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { getProject } from "../projects/index.ts";
import type { PreviewDeps } from "./deps.ts";
import { DEFAULT_POLICY, type PreviewPolicy } from "./policy.ts";
import { readPolicy, writePolicy } from "./queries.ts";

/** A policy as it is sent: what is left out is at its default. */
export type PolicyInput = { readonly [K in keyof PreviewPolicy]?: PreviewPolicy[K] | undefined };

const REPOSITORY = /^[\w.-]{1,100}\/[\w.-]{1,100}$/;

/**
 * Sets a project's policy, whole, and sweeps by it soon. An owner's: a policy chooses whose code runs with the
 * project's variables. @throws AppError `forbidden`, `not_found`, `bad_request`.
 */
export async function setPreviewPolicy(
  deps: Pick<PreviewDeps, "db" | "clock" | "wake">,
  actor: Actor,
  projectName: string,
  input: PolicyInput,
): Promise<PreviewPolicy> {
  requireRole(actor, "owner");
  const at = deps.clock.now();
  const { id, policy } = await deps.db.transaction().execute(async (tx) => {
    const project = await getProject(tx, projectName);
    const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
    const before = await readPolicy(tx, project.id);
    const wanted: PreviewPolicy = { ...DEFAULT_POLICY, ...given };
    const policy = { ...wanted, gitUrl: keepPassword(wanted.gitUrl, before.gitUrl) };
    checkPolicy(policy);
    await writePolicy(tx, project.id, policy, at);
    const subject = { type: "project", id: project.id };
    const details = { ...policy, gitUrl: withoutPassword(policy.gitUrl) };
    await audit(tx, { actor, action: "preview.set_policy", subject, details, at });
    return { id: project.id, policy };
  });
  deps.wake(id);
  return policy;
}

/** @throws AppError `not_found`. */
export async function getPreviewPolicy(
  deps: Pick<PreviewDeps, "db">,
  actor: Actor,
  projectName: string,
): Promise<{ projectId: string; policy: PreviewPolicy }> {
  requireRole(actor, "viewer");
  const project = await getProject(deps.db, projectName);
  return { projectId: project.id, policy: await readPolicy(deps.db, project.id) };
}

const HIDDEN = "***";

/** The URL as it is shown: a token in it stays here. */
export function withoutPassword(url: string | null): string | null {
  if (url === null || !URL.canParse(url)) return url;
  const shown = new URL(url);
  if (shown.password === "" && (shown.username === "" || shown.protocol === "ssh:")) return url;
  // A token may be in either half (`https://token@host/`), so neither is shown.
  shown.username = HIDDEN;
  shown.password = "";
  return shown.href;
}

/** Whoever sends back what was shown means the URL that is stored. */
function keepPassword(given: string | null, stored: string | null): string | null {
  return given !== null && given === withoutPassword(stored) ? stored : given;
}

function checkPolicy({ source, repository, gitUrl }: PreviewPolicy): void {
  if (gitUrl?.includes(`//${HIDDEN}@`)) {
    throw bad(
      "gitUrl holds *** in place of a token.",
      "Send the whole URL, or the one that GET shows, unchanged.",
    );
  }
  if (
    source === "github" &&
    (repository === null || !REPOSITORY.test(repository) || repository.includes(".."))
  )
    throw bad('source "github" needs repository: "owner/name".', 'For example "acme/shop".');
  if (source === "branches" && gitUrl === null)
    throw bad('source "branches" needs gitUrl.', "For example https://git.example.com/acme/shop.git.");
}

function bad(message: string, hint: string): AppError {
  return new AppError("bad_request", message, { hint });
}
