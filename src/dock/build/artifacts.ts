import { access, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { errorCodeOf } from "../../foundation/errors.ts";
import type { Manifest } from "../../gateway/snapshot.ts";
import type { Artifact } from "./build.ts";
import { BuiltFunction } from "./functions.ts";
import { directorySize } from "./limits.ts";
import { CronJob } from "./output-config.ts";

// Paths are relative to the artifact's directory, so that the whole state directory can be moved.
const Stored = z.object({
  key: z.string(),
  kind: z.enum(["static", "server"]),
  framework: z.string().nullable(),
  server: z.object({ directory: z.string(), command: z.string() }).nullable(),
  digests: z.array(z.string()),
  sizeBytes: z.number(),
  functions: z.array(BuiltFunction).default([]),
  crons: z.array(CronJob).default([]),
});

export type NewArtifact = {
  readonly key: string;
  /** Distinguishes a forced build's artifact from an earlier one with the same key, which may be serving. */
  readonly buildId: string;
  readonly framework: string | null;
  readonly manifest: Manifest;
  readonly digests: readonly string[];
  readonly sizeBytes: number;
  readonly functions: readonly BuiltFunction[];
  readonly crons: readonly CronJob[];
  /** `tree`: absolute, moved into the artifact; `directory`: the package in it, relative. */
  readonly server: { readonly tree: string; readonly directory: string; readonly command: string } | null;
  /** An earlier artifact stays, but this one is found from now on. */
  readonly force: boolean;
};

export type Artifacts = {
  /** Null when there is none, or it is not whole. Touches it, so that it counts as young for `collect`. */
  find(key: string, now: Date): Promise<Artifact | null>;
  /** Moves it into place. When another build was first, that one is returned as `reused`. */
  add(artifact: NewArtifact): Promise<{ artifact: Artifact; reused: boolean }>;
  /** The digests of every artifact that is here. */
  digests(): Promise<Set<string>>;
  collect(retained: ReadonlySet<string>, olderThan: Date): Promise<{ removed: number; bytes: number }>;
};

/** Artifacts in `<directory>/<key>/{artifact.json,manifest.json,app/}`; a name in place is always whole. */
export function createArtifacts(directory: string): Artifacts {
  const placeOf = async (key: string) => {
    const newest = await readFile(join(directory, `${key}.newest`), "utf8").catch(() => key);
    return join(directory, newest);
  };
  return {
    async find(key, now) {
      const place = await placeOf(key);
      const artifact = await readArtifact(place);
      if (artifact) await utimes(place, now, now).catch(() => {});
      return artifact;
    },
    add: (artifact) => addArtifact(directory, artifact),
    async digests() {
      const all = new Set<string>();
      for (const name of await names(directory)) {
        for (const digest of (await readStored(join(directory, name)))?.digests ?? []) all.add(digest);
      }
      return all;
    },
    collect: (retained, olderThan) => collectArtifacts(directory, retained, olderThan),
  };
}

async function addArtifact(
  directory: string,
  artifact: NewArtifact,
): Promise<{ artifact: Artifact; reused: boolean }> {
  const { key, buildId, framework, digests, server } = artifact;
  const temporary = join(directory, `.new-${buildId}`);
  await mkdir(temporary, { recursive: true });
  try {
    await writeFile(join(temporary, "manifest.json"), JSON.stringify(artifact.manifest));
    if (server) await rename(server.tree, join(temporary, "app"));
    const stored: z.infer<typeof Stored> = {
      key,
      kind: server ? "server" : "static",
      framework,
      server: server ? { directory: join("app", server.directory), command: server.command } : null,
      digests: [...digests],
      sizeBytes: artifact.sizeBytes + (server ? await directorySize(join(temporary, "app")) : 0),
      functions: [...artifact.functions],
      crons: [...artifact.crons],
    };
    await writeFile(join(temporary, "artifact.json"), JSON.stringify(stored));
    const { name, first } = await moveIntoPlace(directory, temporary, artifact);
    const found = await readArtifact(join(directory, name));
    if (!found) throw new Error(`The artifact ${name} vanished while it was written.`);
    return { artifact: found, reused: !first };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function moveIntoPlace(
  directory: string,
  temporary: string,
  { key, buildId, force }: NewArtifact,
): Promise<{ name: string; first: boolean }> {
  try {
    await rename(temporary, join(directory, key));
    return { name: key, first: true };
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST"].includes(errorCodeOf(error) ?? "")) throw error;
  }
  if (!force) return { name: key, first: false };
  const name = `${key}~${buildId}`;
  await rename(temporary, join(directory, name));
  const pointer = join(directory, `.pointer-${buildId}`);
  await writeFile(pointer, name);
  await rename(pointer, join(directory, `${key}.newest`));
  return { name, first: true };
}

async function readStored(place: string): Promise<z.infer<typeof Stored> | null> {
  const text = await readFile(join(place, "artifact.json"), "utf8").catch(() => null);
  return text === null ? null : Stored.parse(JSON.parse(text));
}

async function readArtifact(place: string): Promise<Artifact | null> {
  const stored = await readStored(place);
  if (!stored) return null;
  const manifest = join(place, "manifest.json");
  const { server } = stored;
  const artifact: Artifact = {
    ...stored,
    manifest,
    server: server ? { directory: join(place, server.directory), command: server.command } : null,
  };
  try {
    await access(manifest);
    if (artifact.server) await access(artifact.server.directory);
    return artifact;
  } catch {
    return null;
  }
}

async function collectArtifacts(
  directory: string,
  retained: ReadonlySet<string>,
  olderThan: Date,
): Promise<{ removed: number; bytes: number }> {
  let removed = 0;
  let bytes = 0;
  for (const name of await names(directory)) {
    const key = name.split("~")[0] ?? name;
    const place = join(directory, name);
    const facts = await stat(place).catch(() => null);
    if (retained.has(key) || !facts || facts.mtime >= olderThan) continue;
    bytes += await directorySize(place);
    removed += 1;
    // Out of sight first: a lookup must not find half an artifact.
    const trash = join(directory, `.old-${name}`);
    await rename(place, trash);
    await rm(trash, { recursive: true, force: true });
    await rm(join(directory, `${key}.newest`), { force: true });
  }
  for (const name of await readdir(directory).catch(() => [])) {
    if (!/^\.(old|new|pointer)-/.test(name)) continue;
    const facts = await stat(join(directory, name)).catch(() => null);
    if (facts && facts.mtime < olderThan) await rm(join(directory, name), { recursive: true, force: true });
  }
  return { removed, bytes };
}

async function names(directory: string): Promise<string[]> {
  const all = await readdir(directory).catch(() => []);
  return all.filter((name) => !name.startsWith(".") && !name.endsWith(".newest"));
}
