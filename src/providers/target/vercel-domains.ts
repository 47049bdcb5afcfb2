import { projectsGetProjectDomains } from "@vercel/sdk/funcs/projectsGetProjectDomains.js";
import type { Place } from "../../targets/target.ts";
import { DomainsAnswer } from "./vercel-answers.ts";
import { scopeOf, type VercelClient } from "./vercel-client.ts";
import { readAnswer, unlessStatus } from "./vercel-failures.ts";
import { hostOf } from "./vercel-hosts.ts";

/** How long a project's domains are taken for known: they change by hand, and seldom. */
const KNOWN_MS = 60_000;

export type Domains = (place: Place, signal: AbortSignal) => Promise<readonly string[]>;

/**
 * The domains of a place, main one first. Production has those that the project was given at the platform: its own ones
 * before those under vercel.app, without what only redirects, is unverified or belongs to a branch. Everything else,
 * and a project without any, has the host by our rule.
 */
export function rememberDomains(client: VercelClient): Domains {
  const known = new Map<string, { readonly untilMs: number; readonly names: readonly string[] }>();
  return async (place, signal) => {
    const ruled = [hostOf(place, client.options.domain)];
    if (place.environment !== "production") return ruled;
    const now = client.clock.monotonicMs();
    const kept = known.get(place.targetProjectId);
    if (kept && kept.untilMs > now) return kept.names;
    const found = await readDomains(client, place.targetProjectId, signal);
    const names = found.length === 0 ? ruled : found;
    known.set(place.targetProjectId, { untilMs: now + KNOWN_MS, names });
    return names;
  };
}

async function readDomains(client: VercelClient, idOrName: string, signal: AbortSignal): Promise<string[]> {
  const request = { idOrName, ...scopeOf(client), limit: 100 };
  const answer = await unlessStatus(
    [404, 405],
    () =>
      client.sdk((core, options) => projectsGetProjectDomains(core, request, options), {
        signal,
        read: true,
      }),
    null,
  );
  if (answer === null) return [];
  const suffix = `.${client.options.domain}`;
  const isGiven = (name: string) => (name.endsWith(suffix) ? 1 : 0);
  return readAnswer(DomainsAnswer, answer)
    .domains.filter((each) => !each.redirect && !each.gitBranch && !each.customEnvironmentId)
    .filter((each) => each.verified !== false)
    .map(({ name }) => name)
    .sort((a, b) => isGiven(a) - isGiven(b));
}
