import { z } from "zod";
import { DURATION, parseDuration } from "./duration.ts";

/** Longest duration that a configuration may ask for. */
const MAX_DURATION_MS = 24 * 3_600_000;

const duration = z
  .string()
  .regex(DURATION, { error: "is no duration; write a whole number with a unit: 500ms, 10s, 2m or 1h" })
  .transform((text) => parseDuration(text) ?? 0)
  .refine((ms) => ms <= MAX_DURATION_MS, { error: "is longer than a day" });

const positiveDuration = duration.refine((ms) => ms > 0, { error: "must be longer than 0" });

const text = z
  .string()
  .min(1, { error: "is empty" })
  .max(4_096, { error: "is longer than 4,096 characters" });

const relativePath = text.refine((path) => !/^[/\\]|^[a-z]:|\\|(^|\/)\.\.(\/|$)|\0/i.test(path), {
  error: "must be a relative path inside the repository, with forward slashes and no ..",
});

const STATUS_RANGE = /^([1-5]\d\d)(?:\.\.([1-5]\d\d))?$/;

const statusRange = z
  .union([z.number().int(), z.string()])
  .transform(String)
  .refine((range) => STATUS_RANGE.test(range), {
    error: "is no status or range of statuses, as 200 or 200..399",
  })
  .transform((range) => {
    const [, from, to] = STATUS_RANGE.exec(range) ?? [];
    return [Number(from), Number(to ?? from)] as const;
  })
  .refine(([from, to]) => from <= to, { error: "ends before it begins" });

/** Plain variables. YAML's numbers and booleans are taken as they are written, since `PORT: 3000` means "3000". */
const variables = z.record(
  z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, {
      error: "is no variable name: letters, digits and _, not starting with a digit",
    })
    .refine((name) => !name.startsWith("SIGNALBOX_"), {
      error: "is reserved: names starting with SIGNALBOX_ are ours",
    }),
  z
    .union([z.string().max(65_536), z.number(), z.boolean()])
    .transform(String)
    .refine((value) => !value.includes("\0"), { error: "contains a NUL character" }),
);

const build = z.strictObject({
  /** A framework's slug (`vite`, `nextjs`); detected when left out. */
  framework: text.optional(),
  install: z.string().max(4_096).optional(),
  command: z.string().max(4_096).optional(),
  /** Folder that the build leaves its result in. */
  output: relativePath.optional(),
  /** Folder of the application inside the repository. */
  root: relativePath.optional(),
  /** Command that starts the server, which listens on `$PORT`. */
  start: text.optional(),
});

const health = z.strictObject({
  path: text.regex(/^\/[\x21-\x7e]*$/, { error: "must start with / and be a plain URL path" }).optional(),
  timeout: positiveDuration.optional(),
  interval: positiveDuration.optional(),
  /** How long a release must stay healthy before it gets traffic. */
  min_healthy_time: duration.optional(),
  /** How long a release may take to become healthy. */
  deadline: positiveDuration.optional(),
  expect_status: statusRange.optional(),
});

const canary = z.strictObject({
  steps: z
    .array(
      z.strictObject({
        /** Whole percent of the traffic. */
        weight: z.number().int({ error: "must be a whole number" }).min(1).max(99),
        bake: duration,
      }),
    )
    .min(1, { error: "needs at least one step" })
    .max(20, { error: "has more than 20 steps" })
    .superRefine((steps, context) => {
      steps.forEach((step, index) => {
        const before = steps[index - 1];
        if (before === undefined || step.weight > before.weight) return;
        context.addIssue({
          code: "custom",
          path: [index, "weight"],
          message: `${step.weight} does not come after ${before.weight}: weights must ascend`,
        });
      });
    }),
  /** Share of answers with a 5xx status above which the release is rolled back. */
  max_error_rate: z.number().min(0).max(1).optional(),
  /** Requests to see before the error rate counts. */
  min_requests: z.number().int({ error: "must be a whole number" }).min(0).max(1_000_000_000).optional(),
});

const strategy = z.union([z.literal("instant"), z.strictObject({ canary })]);

const services = z.strictObject({
  database: z
    .strictObject({ host: text, port: z.number().int().min(1).max(65_535), ssl: z.boolean() })
    .partial()
    .optional(),
  redis: z.strictObject({ url: text }).optional(),
  browserbase: z.strictObject({ projectId: text, region: text }).partial().optional(),
});

const environmentFields = {
  env: variables.optional(),
  strategy: strategy.optional(),
  health: health.optional(),
  vercel: z.strictObject({ projectId: text, teamId: text, productionBranch: text }).partial().optional(),
  /** Feature flags. */
  features: z.record(text, z.boolean()).optional(),
  services: services.optional(),
  monitoring: z
    .strictObject({
      sentryDsn: z.url({ protocol: /^https?$/ }),
      prometheusEndpoint: z.url({ protocol: /^https?$/ }),
    })
    .partial()
    .optional(),
};

function environment(name: string) {
  // An environment without settings (`preview:`) is YAML's null.
  return z.strictObject({ name: z.literal(name).optional(), ...environmentFields }).nullish();
}

/** `signalbox.yaml`, as data: everything optional, durations in milliseconds. */
export const SignalboxConfig = z.strictObject({
  name: text.optional(),
  build: build.optional(),
  env: variables.optional(),
  health: health.optional(),
  environments: z
    .strictObject({
      production: environment("production"),
      staging: environment("staging"),
      preview: environment("preview"),
      development: environment("development"),
    })
    .optional(),
});

export type SignalboxConfig = z.output<typeof SignalboxConfig>;

/** JSON Schema of the file as people write it, for editors. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(SignalboxConfig, { io: "input", target: "draft-7" });
  return { ...schema, title: "signalbox.yaml" };
}
