import type { PackageJson } from "./package-json.ts";

// Commands that serve a finished static site or a developer's working copy. Behind a gateway that serves files
// itself they add nothing, so a `start` script made of one does not make a server release.
const PREVIEWS: readonly RegExp[] = [
  /^vite( (dev|serve|preview))?( -.*)?$/,
  /^(serve|http-server|live-server|static-server|sirv|browser-sync|light-server|lite-server)\b/,
  /^react-scripts start\b/,
  /^(next|nuxt|nuxi|astro|remix|react-router|vinxi|vitepress|vuepress|storybook) (dev|develop)\b/,
  /^astro preview\b/,
  /^(vitepress|docusaurus) (serve|preview|start)\b/,
  /^gatsby (develop|serve|start)\b/,
  /^(webpack(-cli)? serve|webpack-dev-server)\b/,
  /^parcel( serve)?( (?!build|watch).*)?$/,
  /^vue-cli-service serve\b/,
  /^(ng|ember|hexo|hugo|jekyll|quasar|stencil|preact|umi|dumi|snowpack|wmr) (serve|s|server|start|dev|watch)\b/,
  /^(eleventy|@11ty\/eleventy) .*--serve\b/,
  /^(storybook|start-storybook)\b/,
  /^python3? -m http\.server\b/,
];

/**
 * The command that runs the package as a server, or null when it has none. `npm start`'s script is run without npm
 * around it, which saves a process and the time it needs to start; only pre- and post-scripts need npm itself.
 */
export function startCommand(packageJson: PackageJson, hasServerFile: boolean): string | null {
  const { scripts } = packageJson;
  const start = scripts.start?.trim();
  if (start === undefined || start === "") {
    // npm's own default: `npm start` without a script runs server.js.
    return hasServerFile ? "node server.js" : null;
  }
  if (isStaticPreview(start, scripts)) return null;
  return scripts.prestart || scripts.poststart ? "npm start" : start;
}

/** True when everything the command line runs only previews a static site. */
export function isStaticPreview(
  command: string,
  scripts: Readonly<Record<string, string>> = {},
  depth = 0,
): boolean {
  const last = command
    .split(/&&|;/)
    .map((part) => part.trim())
    .filter(Boolean)
    .at(-1);
  if (last === undefined) return false;
  const bare = bareCommand(last);
  const script = /^(?:npm|pnpm|yarn|bun) (?:run )?([\w:.-]+)$/.exec(bare)?.[1];
  const inner = script === undefined ? undefined : scripts[script];
  if (inner !== undefined && depth < 5) return isStaticPreview(inner, scripts, depth + 1);
  return PREVIEWS.some((preview) => preview.test(bare));
}

/** Without the variables, `cross-env`, `npx` and paths that stand before the program's name. */
function bareCommand(command: string): string {
  let bare = command;
  for (let before = ""; before !== bare; ) {
    before = bare;
    bare = bare
      .replace(/^(exec|cross-env|dotenv --|npx( -y| --yes)?|pnpm (exec|dlx)|yarn dlx|bunx( --bun)?) /, "")
      .replace(/^[A-Za-z_]\w*=("[^"]*"|'[^']*'|\S*) /, "")
      .replace(/^(\.\/)?node_modules\/\.bin\//, "");
  }
  return bare;
}
