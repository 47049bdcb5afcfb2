import * as billing from "@vercel/sdk/funcs/rollingReleaseGetRollingReleaseBillingStatus.js";
import { z } from "zod";
import type { Place } from "../../targets/target.ts";
import { scopeOf, type VercelClient } from "./vercel-client.ts";
import { readAnswer, unlessStatus } from "./vercel-failures.ts";
import { readTemplate } from "./vercel-release-template.ts";

const Billing = z.object({
  reason: z.string().nullish().catch(null),
  availableSlots: z.union([z.number(), z.string()]).nullish().catch(null),
});

/** The dock does both. Of Vercel, the plan decides about rolling releases; it lets no requests wait. */
export async function abilities(
  client: VercelClient,
  place: Place,
  signal: AbortSignal,
): Promise<{ split: boolean | "unknown"; hold: boolean }> {
  if (client.options.domain === "localhost") return { split: true, hold: true };
  const request = { idOrName: place.targetProjectId, ...scopeOf(client) };
  const ask = billing.rollingReleaseGetRollingReleaseBillingStatus;
  const answer = await unlessStatus(
    [400, 402, 403, 404],
    () => client.sdk((core, options) => ask(core, request, options), { signal, read: true }),
    null,
  );
  if (answer !== null) {
    const { reason, availableSlots } = readAnswer(Billing, answer);
    if (reason === "plan_not_supported") return { split: false, hold: false };
    if (availableSlots === "unlimited" || Number(availableSlots ?? 0) > 0)
      return { split: true, hold: false };
  }
  const template = await readTemplate(client, place, signal);
  if (template === "unsupported") return { split: false, hold: false };
  // A template that is in use has its slot; for a new one it shows only then.
  return { split: template === null ? "unknown" : true, hold: false };
}
