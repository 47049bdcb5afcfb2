import { expect, test } from "vitest";
import { systemClock } from "../../foundation/clock.ts";
import { ProjectAnswer } from "./vercel-answers.ts";
import { keepAutoAssign } from "./vercel-auto-assign.ts";
import type { VercelClient } from "./vercel-client.ts";
import { forgetfulMemory } from "./vercel-memory.ts";

const place = { targetProjectId: "prj_1", project: "shop", environment: "production", branch: null } as const;
const promoted = { type: "promote", toDeploymentId: "dpl_1", jobStatus: "succeeded" };
const rolledBack = { ...promoted, type: "rollback" };

test.each([
  ["is the team's own after a promotion", true, { lastAliasRequest: promoted }, false],
  ["is a rollback's while the platform says so", true, { lastAliasRequest: rolledBack }, true],
  ["is a rollback's where the platform does not say any more what it did last", true, {}, true],
  ["is the team's own where nothing of it was ever known", null, {}, false],
] as const)("domains that are not assigned by themselves: that %s", async (_name, known, said, wanted) => {
  const memory = forgetfulMemory();
  await memory.write("prj_1", { autoAssign: known });
  const client = { memory, clock: systemClock } as unknown as VercelClient;
  const project = ProjectAnswer.parse({ id: "prj_1", autoAssignCustomDomains: false, ...said });
  expect(await keepAutoAssign(client, place, project, true)).toBe(wanted);
});
