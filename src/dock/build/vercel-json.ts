import { getTransformedRoutes, mergeRoutes, type Route as VercelRoute } from "@vercel/routing-utils";
import { z } from "zod";
import type { Route } from "../../gateway/snapshot.ts";
import { BuildFailure, type BuildSettings } from "./build.ts";
import { CronJob } from "./output-config.ts";
import type { SourceTree } from "./source-tree.ts";

const Rules = z.array(z.looseObject({}));
const Command = z.string().nullish();

const VercelJson = z.looseObject({
  buildCommand: Command,
  installCommand: Command,
  outputDirectory: Command,
  framework: Command,
  cleanUrls: z.boolean().optional(),
  trailingSlash: z.boolean().optional(),
  redirects: Rules.optional(),
  rewrites: Rules.optional(),
  headers: Rules.optional(),
  routes: Rules.optional(),
  crons: z.array(CronJob).max(1_000).optional(),
  functions: z.looseObject({}).optional(),
  builds: z.array(z.unknown()).optional(),
});

/** What a project's `vercel.json` says, as far as it can be done without the CLI. */
export type VercelJson = z.infer<typeof VercelJson>;

/** Null when there is none. @throws BuildFailure `BUILD_INVALID_CONFIG` */
export async function readVercelJson(tree: SourceTree): Promise<VercelJson | null> {
  const text = await tree.read("vercel.json");
  if (text === null) return null;
  let json: unknown;
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    throw invalid(`it is no JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  const parsed = VercelJson.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "it"}: ${issue.message}`);
  throw invalid(problems.slice(0, 5).join("; "));
}

/** The settings, with what they leave open filled in from `vercel.json`. */
export function settingsWith(settings: BuildSettings, json: VercelJson | null): BuildSettings {
  if (json === null) return settings;
  return {
    ...settings,
    framework: settings.framework ?? json.framework ?? null,
    installCommand: settings.installCommand ?? json.installCommand ?? null,
    buildCommand: settings.buildCommand ?? json.buildCommand ?? null,
    outputDirectory: settings.outputDirectory ?? json.outputDirectory ?? null,
  };
}

/** What `config.json` of a Build Output would say for a site of these files. */
export type SiteConfig = {
  readonly version: 3;
  readonly routes: readonly VercelRoute[];
  readonly overrides: Readonly<Record<string, { path: string }>>;
  readonly crons: readonly CronJob[];
};

/**
 * The routes and cron jobs that a `vercel.json` gives a static site; null when it gives none.
 * @param paths the site's files
 * @param ownRoutes those that its framework brings
 * @throws BuildFailure for what only the CLI can build, and for rules that the official package refuses
 */
export function siteConfig(
  json: VercelJson | null,
  paths: readonly string[],
  ownRoutes: readonly Route[],
): SiteConfig | null {
  if (json === null) return null;
  assertNoFunctions(json);
  const { cleanUrls, trailingSlash, redirects, rewrites, headers, routes, crons = [] } = json;
  const rules = { cleanUrls, trailingSlash, redirects, rewrites, headers, routes };
  if (Object.values(rules).every((rule) => rule === undefined) && crons.length === 0) return null;
  const present = Object.fromEntries(Object.entries(rules).filter(([, rule]) => rule !== undefined));
  const transformed = getTransformedRoutes(present as Parameters<typeof getTransformedRoutes>[0]);
  if (transformed.error) throw invalid(transformed.error.message.replace(/\.$/, ""));
  const framework = { use: "@vercel/static-build", entrypoint: "package.json", routes: [...ownRoutes] };
  const merged = mergeRoutes({
    userRoutes: transformed.routes,
    builds: [framework] as Parameters<typeof mergeRoutes>[0]["builds"],
  });
  return {
    version: 3,
    routes: [...merged, ...errorRoutes(merged, paths, cleanUrls === true)],
    overrides: cleanUrls ? withoutEndings(paths) : {},
    crons,
  };
}

function withoutEndings(paths: readonly string[]): Record<string, { path: string }> {
  const pages = paths.filter((path) => path.endsWith(".html"));
  return Object.fromEntries(pages.map((path) => [path, { path: path.slice(0, -".html".length) }]));
}

/** A site with routes of its own still answers what it has not with its 404 page. */
function errorRoutes(
  merged: readonly VercelRoute[],
  paths: readonly string[],
  cleanUrls: boolean,
): VercelRoute[] {
  if (!paths.includes("404.html")) return [];
  const page = { status: 404, src: "^(?!/api).*$", dest: cleanUrls ? "/404" : "/404.html" };
  const begun = merged.some((route) => "handle" in route && route.handle === "error");
  return begun ? [page] : [{ handle: "error" }, page];
}

function assertNoFunctions(json: VercelJson): void {
  const functions = Object.keys(json.functions ?? {}).length > 0 ? "functions" : null;
  const asked = functions ?? ((json.builds ?? []).length > 0 ? "builds" : null);
  if (asked === null) return;
  throw new BuildFailure(
    "BUILD_INVALID_CONFIG",
    `vercel.json has "${asked}", which only the Vercel CLI builds, and it is not used here.`,
    "Install it on the dock's machine (`npm install --global vercel`), or deploy what `vercel build` made with " +
      "`vercel deploy --prebuilt`.",
  );
}

function invalid(problem: string): BuildFailure {
  return new BuildFailure(
    "BUILD_INVALID_CONFIG",
    `vercel.json cannot be used: ${problem}.`,
    "Correct it and deploy again.",
  );
}
