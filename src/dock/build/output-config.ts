import { z } from "zod";
import { compileRoutes, type Route } from "../../routing/index.ts";
import { BuildFailure } from "./build.ts";

const Handle = z.looseObject({
  handle: z.enum(["filesystem", "hit", "miss", "rewrite", "error", "resource"]),
});

const Source = z.looseObject({
  src: z.string().max(65_536),
  dest: z.string().optional(),
  headers: z.record(z.string(), z.string()).optional(),
  methods: z.array(z.string()).optional(),
  status: z.number().int().optional(),
  continue: z.boolean().optional(),
  check: z.boolean().optional(),
  middlewarePath: z.string().optional(),
});

export const CronJob = z.object({
  path: z.string().regex(/^\//).max(512),
  schedule: z.string().min(9).max(256),
});
export type CronJob = z.infer<typeof CronJob>;

/** `config.json` of a Build Output. Source: vercel.com/docs/build-output-api/configuration. */
const Config = z.object({
  version: z.literal(3),
  routes: z.array(z.union([Handle, Source])).nullish(),
  overrides: z
    .record(z.string(), z.object({ path: z.string().optional(), contentType: z.string().optional() }))
    .nullish(),
  wildcard: z.array(z.object({ domain: z.string(), value: z.string() })).nullish(),
  images: z.looseObject({}).nullish(),
  crons: z.array(CronJob).max(1_000).nullish(),
  framework: z.object({ slug: z.string().max(64).optional(), version: z.string().optional() }).nullish(),
  // Paths that builders would like to find again at the next build, and an id for the framework: nothing to serve.
  cache: z.array(z.string()).nullish(),
  deploymentId: z.string().nullish(),
});
export type OutputConfig = z.infer<typeof Config>;

/** As on Vercel. Each is tried against every request. */
const MOST_ROUTES = 2_048;

/** Routes that match by these are refused for what they do, not for how they look: such a rule must not be dropped. */
const SERVICES = ["services", "experimentalServices", "experimentalServicesV2"];

/** @throws BuildFailure `BUILD_INVALID_CONFIG` with the first five problems */
export function parseOutputConfig(text: string | null): OutputConfig {
  if (text === null) throw invalidOutput("config.json is missing");
  const json = parseJson("config.json", text);
  const config = checked("config.json", Config, json);
  for (const name of SERVICES) {
    if (Object.keys((json as Record<string, unknown>)[name] ?? {}).length === 0) continue;
    throw invalidOutput(`config.json has "${name}": several services in one output are not supported here`);
  }
  const routes = config.routes ?? [];
  if (routes.length > MOST_ROUTES) {
    throw invalidOutput(`config.json has ${routes.length} routes; the most is ${MOST_ROUTES}`);
  }
  assertRoutes(routes as readonly Route[]);
  return config;
}

/** The value, or a failure that names the file and its first problems. */
export function checked<Schema extends z.ZodType>(
  file: string,
  schema: Schema,
  json: unknown,
): z.infer<Schema> {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || file}: ${issue.message}`);
  throw invalidOutput(`${file === "config.json" ? "" : `${file}: `}${problems.slice(0, 5).join("; ")}`);
}

export function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidOutput(`${file} is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Compiled as whoever serves them will: what they cannot use is found before a release is made of it. */
function assertRoutes(routes: readonly Route[]): void {
  try {
    compileRoutes(routes);
  } catch (error) {
    throw invalidOutput((error instanceof Error ? error.message : String(error)).slice(0, 500));
  }
}

export function invalidOutput(problem: string, hint?: string): BuildFailure {
  return new BuildFailure(
    "BUILD_INVALID_CONFIG",
    `.vercel/output cannot be served: ${problem}.`,
    hint ?? "Build it again with `vercel build`, or remove .vercel/output to have the app built from source.",
  );
}
