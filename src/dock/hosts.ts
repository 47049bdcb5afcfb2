import { createHash } from "node:crypto";

/**
 * Host names of deployments. A label of a host name holds at most 63 octets (RFC 1035, 2.3.4): a longer one is cut and
 * ends in 6 hex digits of the SHA-256 of its whole, so that two long branch names never meet on one host.
 */
export function productionHost(project: string, domain: string): string {
  return `${label(project)}.${domain}`;
}

export function environmentHost(project: string, environment: string, domain: string): string {
  return `${label(`${project}-${environment}`)}.${domain}`;
}

export function branchHost(project: string, branch: string, domain: string): string {
  return `${label(`${project}-git-${branch}`)}.${domain}`;
}

export function pullRequestHost(project: string, number: number, domain: string): string {
  return `${label(`${project}-pr-${number}`)}.${domain}`;
}

/** The immutable host: the project's name and the first 9 characters of the deployment's id. */
export function immutableHost(project: string, deploymentId: string, domain: string): string {
  const short = deploymentId.replace(/^dpl_/, "").slice(0, 9).toLowerCase();
  // Cut the name here, not the whole: the id's part is what makes it unique.
  const name = label(project).slice(0, 63 - short.length - 1);
  return `${name.replace(/-+$/, "")}-${short}.${domain}`;
}

/** Lower case, everything but letters and digits to one hyphen, none at the ends; 63 characters at most. */
export function label(text: string): string {
  const slug = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  const whole = slug === "" ? "x" : slug;
  if (whole.length <= 63) return whole;
  const hash = createHash("sha256").update(whole).digest("hex").slice(0, 6);
  return `${whole.slice(0, 56).replace(/-+$/, "")}-${hash}`;
}

/** A full host name, lower case, without port. Null when it is none. Source: RFC 1123, 2.1. */
export function parseHost(text: string): string | null {
  const host = text.toLowerCase();
  if (host.length > 253) return null;
  const labels = host.split(".");
  return labels.every((part) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(part)) ? host : null;
}
