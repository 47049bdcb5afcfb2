import { projectsUpdateProjectProtectionBypass } from "@vercel/sdk/funcs/projectsUpdateProjectProtectionBypass.js";
import type { Place } from "../../targets/target.ts";
import { BypassAnswer } from "./vercel-answers.ts";
import { scopeOf, type VercelClient } from "./vercel-client.ts";
import { readAnswer, unlessStatus } from "./vercel-failures.ts";
import { readProject } from "./vercel-projects.ts";

/** Source: Vercel's docs, "Protection Bypass for Automation". */
const HEADER = "x-vercel-protection-bypass";
const SCOPE = "automation-bypass";
/** A secret that somebody rotates at the platform is known again after this. */
const KNOWN_MS = 300_000;
/** Whoever was not answered asks again after this; asked at every probe, an outage would only get longer. */
const UNANSWERED_MS = 5_000;
/** A probe waits no longer for it: a rollback waits for the probe. */
const ASK_LIMIT_MS = 3_000;

export type ProbeHeaders = (place: Place, signal: AbortSignal) => Promise<Readonly<Record<string, string>>>;

/**
 * What lets a probe through to a protected deployment: the secret of the configuration, else the project's own for
 * automation. A project that is protected and has none gets one; one that is not protected is left as it is.
 */
export function rememberBypass(client: VercelClient): ProbeHeaders {
  const known = new Map<string, { readonly untilMs: number; readonly secret: string | null }>();
  return async (place, signal) => {
    const { bypass } = client.options;
    if (bypass) return { [HEADER]: bypass };
    const now = client.clock.monotonicMs();
    const kept = known.get(place.targetProjectId);
    if (kept && kept.untilMs > now) return headers(kept.secret);
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ASK_LIMIT_MS)]);
    try {
      const secret = await secretOf(client, place.targetProjectId, limit);
      if (secret !== null) client.keepSecret(secret);
      known.set(place.targetProjectId, { untilMs: now + KNOWN_MS, secret });
      return headers(secret);
    } catch {
      // A probe without it meets the wall and says so; to ask must never keep a rollback from happening. And that
      // nobody answered, or that a caller went away, is nothing that was learnt.
      const secret = kept?.secret ?? null;
      if (!signal.aborted) known.set(place.targetProjectId, { untilMs: now + UNANSWERED_MS, secret });
      return headers(secret);
    }
  };
}

function headers(secret: string | null): Readonly<Record<string, string>> {
  return secret === null ? {} : { [HEADER]: secret };
}

async function secretOf(client: VercelClient, idOrName: string, signal: AbortSignal): Promise<string | null> {
  const project = await readProject(client, idOrName, signal);
  if (project === null) return null;
  const existing = forAutomation(project.protectionBypass ?? {});
  if (existing !== null) return existing;
  if (!project.ssoProtection && !project.passwordProtection) return null;
  const request = { idOrName, ...scopeOf(client), requestBody: { generate: {} } };
  const update = projectsUpdateProjectProtectionBypass;
  // A token or a plan that may not (402, 403): the probe meets the wall, and its answer says what to do.
  const made = await unlessStatus(
    [400, 402, 403, 404],
    () => client.sdk((core, options) => update(core, request, options), { signal }),
    null,
  );
  return made === null ? null : forAutomation(readAnswer(BypassAnswer, made).protectionBypass);
}

function forAutomation(all: Readonly<Record<string, { readonly scope?: string | null | undefined }>>) {
  return Object.entries(all).find(([, { scope }]) => !scope || scope === SCOPE)?.[0] ?? null;
}
