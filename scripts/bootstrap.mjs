// Runs a script of this repository on Node 24, wherever an older Node (≥ 20) started it, and installs the
// dependencies first when they are missing or older than package-lock.json. Plain JavaScript without imports from
// node_modules: it runs before there are any.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const node = join(root, "node_modules/node/bin/node");
const stamp = join(root, "node_modules/.signalbox-lock");

if (Number(process.versions.node.split(".")[0]) < 20) {
  fail(
    `Node ${process.versions.node} is too old to start with. Install Node 20 or newer; Node 24 then comes by itself.`,
  );
}
installDependencies();
runOnNode24(process.argv.slice(2));

function installDependencies() {
  const lock = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock && existsSync(node)) return;
  console.error("Installing dependencies (npm ci) …");
  const [command, args] = process.env.npm_execpath
    ? [process.execPath, [process.env.npm_execpath]]
    : ["npm", []];
  // NODE_ENV=production would leave out Node 24 itself, which is a development dependency.
  const options = ["ci", "--include=dev", "--no-fund", "--no-audit", "--loglevel=error"];
  const result = spawnSync(command, [...args, ...options], { cwd: root, stdio: ["ignore", 2, 2] });
  if (result.status !== 0) fail("npm ci failed; its output is above. Check the network and try again.");
  if (!existsSync(node)) {
    spawnSync(command, [...args, "rebuild", "node", "--ignore-scripts=false"], {
      cwd: root,
      stdio: ["ignore", 2, 2],
    });
  }
  if (!existsSync(node))
    fail("npm did not install Node 24: are install scripts switched off (ignore-scripts)?");
  writeFileSync(stamp, lock);
}

function runOnNode24(args) {
  const path = [join(root, "node_modules/node/bin"), join(root, "node_modules/.bin"), process.env.PATH].join(
    ":",
  );
  const child = spawn(node, args, { cwd: root, stdio: "inherit", env: { ...process.env, PATH: path } });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 1)));
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
