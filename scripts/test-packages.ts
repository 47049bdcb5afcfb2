import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** Packages that only tests need: too large, or too foreign, to be dependencies of Signalbox. */
const PACKAGES: readonly { readonly directory: string; readonly tests: readonly string[] }[] = [
  {
    directory: "test/vercel-cli",
    tests: [
      "test/e2e/vercel-cli.test.ts",
      "test/e2e/built-apps.test.ts",
      "test/contract/routing-vercel-dev.test.ts",
      "src/dock/build/vercel-build.test.ts",
    ],
  },
];

/**
 * Installs those that the selected tests need, each once for every state of its lock file.
 * @param filters as Vitest takes them: parts of paths of test files. None: every test.
 */
export function installTestPackages(filters: readonly string[]): void {
  for (const { directory, tests } of PACKAGES) {
    if (filters.length > 0 && !tests.some((test) => filters.some((part) => resolve(test).includes(part))))
      continue;
    install(directory);
  }
}

function install(directory: string): void {
  const stamp = join(directory, "node_modules/.signalbox-lock");
  const lockFile = join(directory, "package-lock.json");
  const locked = readFileSync(lockFile);
  const lock = createHash("sha256").update(locked).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  console.error(`Installing ${directory} (npm install) …`);
  const npm = process.env.npm_execpath;
  const [command, args] = npm ? [process.execPath, [npm]] : ["npm", []];
  // Not `npm ci`: it refuses a lock without the optional packages of other platforms, which a registry may not have.
  const options = ["install", "--no-save", "--no-fund", "--no-audit", "--loglevel=error"];
  const result = spawnSync(command, [...args, ...options], { cwd: directory, stdio: ["ignore", 2, 2] });
  // npm writes the lock anew in its own manner, with the same versions.
  writeFileSync(lockFile, locked);
  if (result.status !== 0) {
    console.error(
      `npm install failed in ${directory}; its output is above. Check the network and try again.`,
    );
    process.exit(1);
  }
  writeFileSync(stamp, lock);
}
