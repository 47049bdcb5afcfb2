import type { Place } from "../../targets/target.ts";
import { RollingConfigAnswer } from "./vercel-answers.ts";
import type { VercelClient } from "./vercel-client.ts";
import { readAnswer, unlessStatus } from "./vercel-failures.ts";
import { readProject } from "./vercel-projects.ts";

/**
 * A project's template of rolling releases. Each release is a copy of it, and while there is one, every promotion at
 * the platform begins a rolling release. So ours is there only while our release runs, and the team's is kept.
 */

/** The plan has no rolling releases, or the token may not set them up. */
const ABSENT = [402, 403, 404];

/** Puts the plan's percentages in. `unsupported`: this plan of Vercel has no rolling releases. */
export async function useTemplate(
  client: VercelClient,
  place: Place,
  steps: readonly number[],
  signal: AbortSignal,
): Promise<"done" | "unsupported"> {
  const { rolling } = await client.memory.read(place.targetProjectId);
  if (rolling === null) {
    const before = await readTemplate(client, place, signal);
    if (before === "unsupported") return "unsupported";
    const project = await readProject(client, place.targetProjectId, signal);
    const skewMaxAgeS = project?.skewProtectionMaxAge ?? 0;
    const rolling = { config: before, atMs: client.clock.now().getTime(), skewMaxAgeS };
    await client.memory.write(place.targetProjectId, { rolling });
  }
  const last = steps.length - 1;
  const stages = steps.map((targetPercentage, index) => ({
    targetPercentage,
    requireApproval: index < last,
  }));
  // Not through the SDK: its method has no request body.
  const body = { enabled: true, advancementType: "manual-approval", stages };
  const set = () => client.json({ method: "PATCH", path: pathOf(place), body }, { signal });
  const answer = await unlessStatus(ABSENT, set, "unsupported" as const);
  if (answer !== "unsupported") return "done";
  await client.memory.write(place.targetProjectId, { rolling: null });
  return "unsupported";
}

/** Gives the team its own template back, or none. Nothing kept: nothing is asked. */
export async function restoreTemplate(
  client: VercelClient,
  place: Place,
  signal: AbortSignal,
): Promise<void> {
  const { rolling } = await client.memory.read(place.targetProjectId);
  if (rolling === null) return;
  const request =
    rolling.config === null
      ? { method: "DELETE", path: pathOf(place) }
      : { method: "PATCH", path: pathOf(place), body: rolling.config };
  await unlessStatus(ABSENT, () => client.json(request, { signal }), null);
  await restoreSkewProtection(client, place, rolling.skewMaxAgeS, signal);
  await client.memory.write(place.targetProjectId, { rolling: null });
}

/** Rolling releases need skew protection, so the platform switches it on with them; where it was off, it goes again. */
async function restoreSkewProtection(
  client: VercelClient,
  { targetProjectId }: Place,
  skewProtectionMaxAge: number,
  signal: AbortSignal,
): Promise<void> {
  const project = await readProject(client, targetProjectId, signal);
  if (project === null || (project.skewProtectionMaxAge ?? 0) === skewProtectionMaxAge) return;
  const path = `/v9/projects/${encodeURIComponent(targetProjectId)}`;
  const set = () => client.json({ method: "PATCH", path, body: { skewProtectionMaxAge } }, { signal });
  // A value that the plan does not take is no reason to hold anything up.
  await unlessStatus([400, 402, 403], set, null);
}

/** Null: there is none. */
export async function readTemplate(
  client: VercelClient,
  place: Place,
  signal: AbortSignal,
): Promise<Record<string, unknown> | null | "unsupported"> {
  const get = () => client.json({ method: "GET", path: pathOf(place) }, { signal, read: true });
  const answer = await unlessStatus(ABSENT, get, "unsupported" as const);
  if (answer === "unsupported") return "unsupported";
  const config = readAnswer(RollingConfigAnswer, answer).rollingRelease ?? null;
  if (config === null) return null;
  // `target` is the answer's own field; sent back it would be refused.
  const { target: _, ...kept } = config;
  return { enabled: true, ...kept };
}

function pathOf({ targetProjectId }: Place): string {
  return `/v1/projects/${encodeURIComponent(targetProjectId)}/rolling-release/config`;
}
