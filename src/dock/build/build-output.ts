import { z } from "zod";
import type { Route } from "../../gateway/snapshot.ts";
import { compileRoutes } from "../../routing/index.ts";
import { BuildFailure } from "./build.ts";
import { contentTypeOf } from "./content-type.ts";
import type { ServedFile } from "./manifest.ts";
import type { StaticSource } from "./static-source.ts";

const Handle = z.looseObject({
  handle: z.enum(["filesystem", "hit", "miss", "rewrite", "error", "resource"]),
});

const Source = z.looseObject({
  src: z.string(),
  dest: z.string().optional(),
  headers: z.record(z.string(), z.string()).optional(),
  methods: z.array(z.string()).optional(),
  status: z.number().int().optional(),
  continue: z.boolean().optional(),
  check: z.boolean().optional(),
});

// Source: vercel.com/docs/build-output-api/configuration. Fields that are not named here have no effect on files.
const Config = z.object({
  version: z.literal(3),
  routes: z.array(z.union([Handle, Source])).nullish(),
  overrides: z
    .record(z.string(), z.object({ path: z.string().optional(), contentType: z.string().optional() }))
    .nullish(),
});

// The gateway runs no function. Ignoring one would serve to everyone what is meant for some.
const UNSUPPORTED = ["middlewarePath"];

/**
 * Reads a Build Output (version 3): its static files under the paths and types that `overrides` gives them, and its
 * routes. `sources` are relative to the output's directory. @throws BuildFailure `BUILD_INVALID_CONFIG`
 */
export function readBuildOutput(
  configText: string | null,
  sources: readonly StaticSource[],
): { files: ServedFile[]; routes: Route[] } {
  refuseFunctions(sources);
  const config = parseConfig(configText);
  const overrides = new Map(Object.entries(config.overrides ?? {}));
  const files = sources.flatMap((source): ServedFile[] => {
    if (!source.path.startsWith("static/")) return [];
    const path = source.path.slice("static/".length);
    const override = overrides.get(path);
    const type = override?.contentType ?? contentTypeOf(path);
    return [{ urlPath: `/${(override?.path ?? path).replace(/^\/+/, "")}`, type, source }];
  });
  return { files, routes: (config.routes ?? []) as Route[] };
}

function refuseFunctions(sources: readonly StaticSource[]): void {
  const names = new Set<string>();
  for (const { path } of sources) {
    const name = /^functions\/(.+?)\.func\//.exec(path)?.[1];
    if (name !== undefined) names.add(name);
  }
  if (names.size === 0) return;
  const shown = [...names].sort().slice(0, 5).join(", ");
  const more = names.size > 5 ? ` and ${names.size - 5} more` : "";
  throw new BuildFailure(
    "BUILD_INVALID_CONFIG",
    `The Build Output has functions (${shown}${more}), which are not supported here yet.`,
    "Deploy its static part only, or deploy the app from source with a `start` script.",
  );
}

function parseConfig(text: string | null): z.infer<typeof Config> {
  if (text === null) throw invalid("config.json is missing");
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw invalid(`config.json is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = Config.safeParse(json);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${issue.path.join(".") || "config.json"}: ${issue.message}`,
    );
    throw invalid(problems.slice(0, 5).join("; "));
  }
  for (const [index, route] of rawRoutes(json).entries()) {
    const field = UNSUPPORTED.find((name) => name in route);
    if (field) throw invalid(`routes.${index} uses "${field}", which is not supported here yet`);
  }
  assertRoutes((parsed.data.routes ?? []) as Route[]);
  return parsed.data;
}

function rawRoutes(json: unknown): Record<string, unknown>[] {
  const routes = (json as { routes?: unknown }).routes;
  return Array.isArray(routes) ? routes : [];
}

function assertRoutes(routes: readonly Route[]): void {
  try {
    compileRoutes(routes);
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
}

function invalid(problem: string): BuildFailure {
  return new BuildFailure(
    "BUILD_INVALID_CONFIG",
    `.vercel/output cannot be served: ${problem}.`,
    "Build it again with `vercel build`, or remove .vercel/output to have the app built from source.",
  );
}
