import { createHash } from "node:crypto";
import type { Place } from "../../targets/target.ts";

/** Longest label of a host name (RFC 1035, 2.3.4). */
const MAX_LABEL = 63;

type HostParts = Pick<Place, "project" | "environment" | "branch" | "pullRequest">;

/**
 * The host of a place: `<project>`, `<project>-staging`, or for a preview `<project>-git-<branch>`, under `domain`.
 * A preview that belongs to a pull request has `<project>-pr-<number>`, one that comes from no branch
 * `<project>-preview`. The platform names its own aliases by the same rule, so a branch has one host and not two.
 */
export function hostOf(place: HostParts, domain: string): string {
  return `${toLabel(nameOf(place))}.${domain}`;
}

function nameOf({ project, environment, branch, pullRequest }: HostParts): string {
  if (environment === "production") return project;
  if (environment === "staging") return `${project}-staging`;
  if (typeof pullRequest === "number") return `${project}-pr-${pullRequest}`;
  return branch === null ? `${project}-preview` : `${project}-git-${branch}`;
}

/**
 * Lower case, everything else than letters and digits to one dash, none at the ends. A label too long for DNS is cut,
 * and a hash of all of it keeps it apart from others with the same beginning.
 */
export function toLabel(name: string): string {
  const slug = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  if (slug.length <= MAX_LABEL) return slug;
  const hash = createHash("sha256").update(slug).digest("hex").slice(0, 6);
  return `${slug.slice(0, 56).replace(/-+$/, "")}-${hash}`;
}
