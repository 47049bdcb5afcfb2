import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { CACHE, homeOf, SERVICES, type ServiceName } from "../test/support/services/homes.ts";

/** What each starter in `test/support/services/` needs. */
const NEEDED_BY: Readonly<Record<string, readonly ServiceName[]>> = {
  redis: ["redis"],
  mariadb: ["mariadb"],
  rabbitmq: ["rabbitmq"],
  chromium: ["chromium"],
  // A namespace needs root; others have a relay.
  partition: process.getuid?.() === 0 ? ["iproute2"] : [],
};

/**
 * Gets the real servers that the selected tests import a starter of, once for a clone: Debian's packages, unpacked
 * below `node_modules`, so that it needs no root, changes nothing on the machine and starts no daemon. What is
 * installed already is used as it is. Without a Debian (or its servers) the tests that need one are skipped.
 * @param filters as Vitest takes them: parts of paths of test files. None: every test.
 */
export function installTestServices(filters: readonly string[]): void {
  const needed = new Set<ServiceName>();
  for (const file of globSync("{src,test,bench,scripts}/**/*.test.ts")) {
    if (filters.length > 0 && !filters.some((part) => resolve(file).includes(part))) continue;
    for (const [, starter = ""] of readFileSync(file, "utf8").matchAll(
      /(?:support\/services|\.)\/([a-z]+)\.ts"/g,
    )) {
      for (const service of NEEDED_BY[starter] ?? []) needed.add(service);
    }
  }
  installServices([...needed]);
}

/** @returns those that are not to be had here. */
export function installServices(names: readonly ServiceName[]): ServiceName[] {
  const missing = names.filter((name) => homeOf(name) === null);
  if (missing.length === 0) return [];
  console.error(`Getting ${missing.join(", ")} for the tests (apt-get download) …`);
  const failure = updateLists();
  const failed = missing.filter((name) => {
    const reason = failure ?? unpack(name);
    if (reason !== null) console.error(`No ${name} here, so its tests are skipped: ${reason}`);
    return reason !== null;
  });
  rmSync(APT, { recursive: true, force: true });
  return failed;
}

const APT = join(CACHE, "apt");

/** apt-get with lists and downloads of our own: it locks nothing, and needs no root. */
function apt(...args: string[]): string | null {
  const options = {
    "Dir::State": join(APT, "state"),
    "Dir::State::status": "/var/lib/dpkg/status",
    "Dir::Cache": join(APT, "cache"),
    "Debug::NoLocking": "1",
    "APT::Sandbox::User": "",
    "Acquire::Retries": "2",
  };
  const set = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  return run("apt-get", [...set, "-qq", ...args]);
}

function updateLists(): string | null {
  for (const folder of ["state/lists/partial", "cache/archives/partial"])
    mkdirSync(join(APT, folder), { recursive: true });
  return apt("update");
}

function unpack(name: ServiceName): string | null {
  const archives = join(APT, "cache/archives");
  rmSync(archives, { recursive: true, force: true });
  mkdirSync(join(archives, "partial"), { recursive: true });
  const packages = SERVICES[name].packages;
  // Resolved against what is installed: only what is missing comes, with every package's signature checked.
  const failed = apt("install", "-y", "--no-install-recommends", "--download-only", ...packages);
  if (failed !== null) return failed;
  const root = join(CACHE, name);
  const making = `${root}-${process.pid}`;
  for (const archive of globSync(join(archives, "*.deb"))) {
    // A C library beside the machine's own would break every program that is started with both.
    if (/\/libc6_/.test(archive)) continue;
    const unpacked = run("dpkg-deb", ["-x", archive, making]);
    if (unpacked !== null) return unpacked;
  }
  if (!existsSync(join(making, SERVICES[name].program))) {
    rmSync(making, { recursive: true, force: true });
    return `the packages ${packages.join(", ")} have no ${SERVICES[name].program}`;
  }
  rmSync(root, { recursive: true, force: true });
  renameSync(making, root);
  return null;
}

/** Null when it succeeded; else its last line of complaint. */
function run(program: string, args: readonly string[]): string | null {
  const result = spawnSync(program, args, { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
  if (result.error) return `${program} cannot be started (${result.error.message})`;
  if (result.status === 0) return null;
  return `${program}: ${result.stderr.trim().split("\n").at(-1) ?? `it ended with ${result.status}`}`;
}
