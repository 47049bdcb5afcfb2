import { mkdirSync } from "node:fs";

// Of the output server itself, or of the runner.
const NOT_PASSED = new Set([
  "PORT",
  "HOME",
  "NODE_OPTIONS",
  "PWD",
  "OLDPWD",
  "SHLVL",
  "_",
  "SIGNALBOX_ALLOW_NETWORKS",
]);
const PRELOAD = /(^|\s)--import=\S*listen-preload\.mjs(?=\s|$)/g;

/**
 * What a release's functions start with: its variables, and the facts of the platform that Vercel states. The runner's
 * preload is not passed on: a function that listens is captured, not redirected.
 */
export function functionEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  home: string,
): Record<string, string> {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const own: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !NOT_PASSED.has(name)) own[name] = value;
  }
  const options = (env.NODE_OPTIONS ?? "").replace(PRELOAD, "").trim();
  return {
    // Next.js takes the region dev1 for development; any other name will do.
    VERCEL: "1",
    VERCEL_REGION: "iad1",
    NOW_REGION: "iad1",
    TZ: ":UTC",
    ...own,
    HOME: home,
    ...(options === "" ? {} : { NODE_OPTIONS: options }),
  };
}
