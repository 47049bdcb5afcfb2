import { delimiter, dirname, join, sep } from "node:path";

/** The variable that every process of a build carries, by which those that left its group are found. */
export const BUILD_MARKER = "SIGNALBOX_BUILD";

export type CommandPlaces = {
  /** The build's package directory. */
  readonly directory: string;
  /** Where the tree begins: `node_modules/.bin` of every directory up to it is on the path. */
  readonly root: string;
  readonly home: string;
  readonly npmCache: string;
  readonly temporary: string;
  /** Holds the shims of package managers that corepack provides. */
  readonly shims: string;
};

/**
 * The environment of install and build commands: the request's variables and what a command needs to run at all.
 * Nothing of the dock's own gets in. `step` decides NODE_ENV as Vercel does: an install brings dev dependencies too.
 */
export function commandEnv(options: {
  step: "install" | "build";
  places: CommandPlaces;
  buildId: string;
  path: string;
  networkEnv: Readonly<Record<string, string>>;
  env: Readonly<Record<string, string>>;
}): Record<string, string> {
  const { places, env, step } = options;
  return {
    LANG: "C.UTF-8",
    ...options.networkEnv,
    CI: "1",
    npm_config_update_notifier: "false",
    npm_config_fund: "false",
    npm_config_audit: "false",
    npm_config_include: "dev",
    npm_config_cache: places.npmCache,
    COREPACK_ENABLE_DOWNLOAD_PROMPT: "0",
    ...withoutMarker(env),
    NODE_ENV: step === "install" ? "development" : (env.NODE_ENV ?? "production"),
    PATH: [
      ...binDirectories(places.root, places.directory),
      places.shims,
      dirname(process.execPath),
      foreignPath(options.path),
    ].join(delimiter),
    HOME: places.home,
    TMPDIR: places.temporary,
    [BUILD_MARKER]: options.buildId,
  };
}

/** `node_modules/.bin` of the directory and of those above it, up to the tree's root; nearest first. */
export function binDirectories(root: string, directory: string): string[] {
  const found: string[] = [];
  for (let at = directory; ; at = dirname(at)) {
    found.push(join(at, "node_modules", ".bin"));
    if (at === root || at === dirname(at) || !at.startsWith(root + sep)) return found;
  }
}

/** The machine's path without `node_modules/.bin`: a dock that npm started would lend builds its own tools. */
export function foreignPath(path: string): string {
  return path
    .split(delimiter)
    .filter((entry) => entry !== "" && !/node_modules\/\.bin\/?$|node-gyp-bin\/?$/.test(entry))
    .join(delimiter);
}

function withoutMarker(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name !== BUILD_MARKER));
}
