import { z } from "@hono/zod-openapi";
import { STATES, type State } from "../deployments/index.ts";

const name = z.string().min(1).max(255);
const glob = z.string().min(1).max(255);
const DAY_MS = 86_400_000;

const fields = {
  source: z.enum(["github", "branches", "none"]),
  repository: z.string().max(201).nullable().openapi({ description: "owner/name at GitHub" }),
  gitUrl: z.string().min(1).max(2_048).nullable().openapi({
    description: "Where commits are fetched from. Left out: where GitHub says. A token in it is never shown.",
  }),
  include: z.array(glob).max(100).readonly().openapi({ description: "Globs of branch names; default all" }),
  exclude: z.array(glob).max(100).readonly(),
  ttlMs: z
    .number()
    .int()
    .min(60_000)
    .max(3_650 * DAY_MS)
    .nullable()
    .openapi({ description: "Since the last push or deploy; default 7 days, null: none" }),
  limit: z.number().int().min(0).max(1_000).openapi({ description: "Previews at the same time; default 20" }),
  forks: z.boolean().openapi({ description: "Pull requests from forks run with this project's variables" }),
  commentUrl: z
    .boolean()
    .openapi({ description: "Tell GitHub: commit status, and a comment with the address" }),
  productionBranch: name.nullable().openapi({ description: "A push to it goes to production" }),
  deployOnPush: z.record(name, z.enum(["production", "staging"])).readonly(),
};

/** Every field may be left out: then it is at its default. */
export const PolicyBody = z.strictObject(fields).partial().openapi("PreviewPolicyInput");
const Policy = z.object(fields).openapi("PreviewPolicy");

const Step = z
  .object({
    kind: z.enum(["deploy", "close", "keep", "skip"]),
    key: z.string(),
    why: z.string(),
    failed: z.string().optional(),
    deploymentId: z.string().optional(),
  })
  .openapi("PreviewStep");

export const Steps = z.object({ steps: z.array(Step) });

export const PolicyAnswer = z
  .object({
    project: z.string(),
    policy: Policy,
    lastSweep: z.object({
      at: z.string().nullable(),
      failingSince: z
        .string()
        .nullable()
        .openapi({ description: "Since when the git host could not be read" }),
      failure: z.string().nullable(),
      steps: z.array(Step),
    }),
  })
  .openapi("ProjectPreviews");

export const PreviewBody = z
  .object({
    project: z.string(),
    key: z.string(),
    pullRequest: z.number().nullable(),
    branch: z.string(),
    commit: z.string().nullable(),
    deploymentId: z.string(),
    state: z.enum(STATES as [State, ...State[]]),
    url: z.string().nullable(),
    createdAt: z.string(),
    lastActivityAt: z.string(),
    liveAt: z.string().nullable(),
    expiresAt: z.string().nullable(),
    why: z.string().nullable().openapi({ description: "Why it is there, as the last sweep found" }),
  })
  .openapi("Preview");

export const ProjectParam = z.object({ project: name });
export const PreviewParam = z.object({ project: name, key: z.string().min(1).max(300) });
export const ListQuery = z.object({ project: name.optional() });
