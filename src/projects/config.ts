import { z } from "zod";
import { checks } from "./config-checks.ts";
import { failover } from "./config-failover.ts";
import { duration, positiveDuration, relativePath, statusRange, text } from "./config-fields.ts";
import { approvals, strategy } from "./config-rollout.ts";

const RESERVED_SERVICES = new Set(["staging", "preview", "git", "pr"]);

const urlPath = text.regex(/^\/[\x21-\x7e]*$/, { error: "must start with / and be a plain URL path" });

const variableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, {
  error: "is no variable name: letters, digits and _, not starting with a digit",
});

/** Plain variables. YAML's numbers and booleans are taken as they are written, since `PORT: 3000` means "3000". */
const variables = z.record(
  variableName.refine((name) => !name.startsWith("SIGNALBOX_"), {
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

/** One probe among several: all of them must be good. */
const check = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("http"),
    path: urlPath,
    expect_status: statusRange.optional(),
    /** Text that the body must have in it. */
    contains: text.optional(),
  }),
  /** The connection is taken. */
  z.strictObject({ type: z.literal("tcp") }),
  /** A WebSocket is opened at this path. */
  z.strictObject({ type: z.literal("websocket"), path: urlPath }),
]);

const health = z.strictObject({
  path: urlPath.optional(),
  timeout: positiveDuration.optional(),
  interval: positiveDuration.optional(),
  /** How long a release must stay healthy before it gets traffic. */
  min_healthy_time: duration.optional(),
  /** How long after its start failed probes say nothing yet. */
  grace: duration.optional(),
  /** How long a release may take to become healthy, after the grace period. */
  deadline: positiveDuration.optional(),
  expect_status: statusRange.optional(),
  checks: z.array(check).max(10, { error: "has more than 10 checks" }).optional(),
});

/** What is deployed, when it is more than one thing. Traffic moves to them in this order. */
const deployedServices = z
  .record(
    z.string().regex(/^[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?$/, {
      error: "is no service name: lower-case letters, digits and dashes, at most 30",
    }),
    z
      .strictObject({ build: build.optional(), health: health.optional(), env: variables.optional() })
      .nullable(),
  )
  .refine((all) => Object.keys(all).length > 0, { error: "names no service" })
  .refine((all) => Object.keys(all).length <= 20, { error: "names more than 20 services" })
  .refine((all) => !Object.keys(all).some((name) => RESERVED_SERVICES.has(name)), {
    error: `uses a name that hosts of environments have: ${[...RESERVED_SERVICES].join(", ")}`,
  });

const migrations = z
  .strictObject({
    /** The variable that has the database's address. */
    database: variableName.optional(),
    /** Folder of additive .sql files, applied before traffic. */
    expand: relativePath.optional(),
    /** Folder of .sql files that remove what no release uses any more. */
    contract: relativePath.optional(),
    timeout: positiveDuration.optional(),
    lock_timeout: positiveDuration.optional(),
    /** Hold requests while `expand` runs, for this long and this many at most. */
    hold: z
      .strictObject({
        max: positiveDuration.refine((ms) => ms <= 60_000, { error: "is longer than 60s" }),
        requests: z.number().int().min(1).max(10_000).optional(),
      })
      .optional(),
  })
  .refine((given) => given.expand !== undefined || given.contract !== undefined, {
    error: "names neither an expand nor a contract folder",
  });

/** What the environment uses; each becomes a health check. */
const usedServices = z.strictObject({
  database: z
    .strictObject({ host: text, port: z.number().int().min(1).max(65_535), ssl: z.boolean() })
    .partial()
    .optional(),
  redis: z.strictObject({ url: text }).optional(),
  browserbase: z.strictObject({ projectId: text, region: text }).partial().optional(),
});

/** The project at Vercel. */
const vercel = z
  .strictObject({
    projectId: text,
    teamId: text,
    productionBranch: text,
    /** Slug of the custom environment that this one is there; staging only. */
    environment: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/, {
      error: "is no slug: lower-case letters, digits and dashes, at most 32",
    }),
    /** `git`: Vercel fetches the commit itself, from the repository that its project is connected to. */
    source: z.enum(["files", "git"]),
    /** `false`: a forced build starts without Vercel's build cache. */
    buildCache: z.boolean(),
    /** Hold deployments that were made outside of Signalbox until they are healthy. */
    checks: z.boolean(),
  })
  .partial();

const environmentFields = {
  env: variables.optional(),
  /** `false`: no migrations here. */
  migrations: z.literal(false).optional(),
  strategy: strategy.optional(),
  approvals: approvals.optional(),
  /** Not before this long after it is ready to take traffic. */
  wait: duration.optional(),
  /** Longest time from its start to being live; what people are waited for does not count. */
  progress_deadline: positiveDuration.optional(),
  /** How long the release before stays one that can be gone back to: no contract migration runs before. */
  rollback_window: duration.optional(),
  /** How long after it went live a critical check that goes down takes it back. `0s`: never. Default 5m. */
  watch: duration.refine((ms) => ms <= 86_400_000, { error: "is longer than a day" }).optional(),
  /** `at_once` (default), or back by the canary's own weights. */
  rollback: z.enum(["at_once", "stepped"]).optional(),
  /** How long visitors of the former release may stay on it after a whole shift. */
  drain: duration.refine((ms) => ms <= 3_600_000, { error: "is longer than an hour" }).optional(),
  health: health.optional(),
  vercel: vercel.optional(),
  /** Feature flags. */
  features: z.record(text, z.boolean()).optional(),
  services: usedServices.optional(),
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
  return z
    .strictObject({ name: z.literal(name).optional(), ...environmentFields, checks: checks.optional() })
    .nullish();
}

/** Of a preview only what is deployed is checked: it has no checks of its own. */
const preview = z.strictObject({ name: z.literal("preview").optional(), ...environmentFields }).nullish();

/** Only production has a standby: it is what must not be away. */
const production = z
  .strictObject({
    name: z.literal("production").optional(),
    ...environmentFields,
    checks: checks.optional(),
    failover: failover.optional(),
  })
  .nullish();

/** `signalbox.yaml`, as data: everything optional, durations in milliseconds. */
export const SignalboxConfig = z.strictObject({
  name: text.optional(),
  build: build.optional(),
  env: variables.optional(),
  health: health.optional(),
  services: deployedServices.optional(),
  migrations: migrations.optional(),
  /** In every environment but previews; an environment's own of the same name wins. */
  checks: checks.optional(),
  environments: z
    .strictObject({
      production,
      staging: environment("staging"),
      preview,
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
