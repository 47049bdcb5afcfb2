/** `npm run prepack`: compiles src/ to dist/, because Node does not strip types under node_modules. */
import { spawnSync } from "node:child_process";
import { cpSync, globSync, rmSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
const compiled = spawnSync("node_modules/.bin/tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit" });
if (compiled.status !== 0) process.exit(compiled.status ?? 1);
// Files that are data or already JavaScript: they are loaded by path, next to the compiled modules.
for (const file of globSync("src/**/*.{mjs,cjs,html,css,json}")) cpSync(file, file.replace(/^src/, "dist"));
