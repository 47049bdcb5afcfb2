import { AppError } from "../foundation/errors.ts";

/** A host is `<name>-git-<branch>` at its longest kind; 63 is DNS's limit for a label. */
const MAX_NAME = 52;
const NAME = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
/** Hosts of a project's environments are its name with one of these; a project may not sit on another's host. */
const ENVIRONMENT_SUFFIX = /-(?:staging|preview)$|-git-/;

/** @throws AppError `bad_request` with a name that would do, when `name` cannot be a host's first label. */
export function checkProjectName(name: string): void {
  const problem = problemOf(name);
  if (problem === null) return;
  throw new AppError("bad_request", `"${abbreviate(name)}" cannot be a project's name: ${problem}.`, {
    hint: `Use lower-case letters, digits and dashes, for example "${suggestProjectName(name)}".`,
  });
}

/** The nearest allowed name: `My Shop!` → `my-shop`. */
export function suggestProjectName(name: string): string {
  const slug = name
    .slice(0, 1_024)
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, "")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/-(git)-/g, "-")
    .slice(0, MAX_NAME)
    .replace(/-(?:staging|preview)-*$/, "")
    .replace(/^-+|-+$/g, "");
  return slug === "" || problemOf(slug) !== null ? "my-app" : slug;
}

function problemOf(name: string): string | null {
  if (name === "") return "it is empty";
  if (name.length > MAX_NAME) return `it has ${name.length} characters and ${MAX_NAME} are allowed`;
  if (!NAME.test(name)) return "it must be a lower-case DNS label";
  if (ENVIRONMENT_SUFFIX.test(name)) return "its host would be that of another project's environment";
  return null;
}

function abbreviate(name: string): string {
  return name.length <= 80 ? name : `${name.slice(0, 77)}…`;
}
