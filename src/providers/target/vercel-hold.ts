import type { Place } from "../../targets/target.ts";
import { HoldAnswer } from "./vercel-answers.ts";
import type { VercelClient } from "./vercel-client.ts";
import { readAnswer, unlessStatus } from "./vercel-failures.ts";
import { hostOf } from "./vercel-hosts.ts";
import { STAGING } from "./vercel-projects.ts";

/** Extensions of the dock. Vercel answers 404: its own pause answers every visitor at once, and holds nobody. */
const ABSENT = [404, 405];

export async function hold(
  client: VercelClient,
  place: Place,
  limits: { maxMs: number; maxRequests: number },
  signal: AbortSignal,
): Promise<{ inFlight: number } | "unsupported"> {
  const body = { ...whichOf(client, place), maxMs: limits.maxMs, maxRequests: limits.maxRequests };
  const answer = await unlessStatus(ABSENT, () => post(client, place, "hold", body, signal), null);
  if (answer === null) return "unsupported";
  return { inFlight: readAnswer(HoldAnswer, answer).inFlight };
}

export async function unhold(client: VercelClient, place: Place, signal: AbortSignal): Promise<void> {
  await unlessStatus(ABSENT, () => post(client, place, "unhold", whichOf(client, place), signal), null);
}

/** Production and staging with every host that was given to them, a preview by its own. */
function whichOf(client: VercelClient, place: Place): { environment: string } | { hosts: string[] } {
  if (place.environment === "production") return { environment: "production" };
  if (place.environment === "staging") return { environment: STAGING };
  return { hosts: [hostOf(place, client.options.domain)] };
}

function post(client: VercelClient, place: Place, verb: string, body: object, signal: AbortSignal) {
  const path = `/v1/projects/${encodeURIComponent(place.targetProjectId)}/${verb}`;
  return client.json({ method: "POST", path, body }, { signal });
}
