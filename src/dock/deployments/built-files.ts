import { readFile } from "node:fs/promises";
import type { Manifest } from "../../gateway/index.ts";
import type { Dock } from "../dock.ts";
import type { DeploymentView } from "./queries.ts";

/** What a build left, as the API lists it. */
export type BuiltFile = {
  readonly path: string;
  readonly type: "file" | "lambda" | "edge";
  readonly size: number;
  readonly digest: string;
};

/** A list for people: nobody reads more, and a large site would make an answer of many megabytes. */
const MOST = 1_000;

/** The files of a deployment's artifact, by path; and its process, where it has one. None before it is built. */
export async function builtFiles(dock: Dock, row: DeploymentView): Promise<BuiltFile[]> {
  if (!row.artifact) return [];
  const artifact = await dock.db
    .selectFrom("artifacts")
    .select(["manifest", "kind", "size_bytes", "functions"])
    .where("key", "=", row.artifact)
    .executeTakeFirst();
  // Files of a collected deployment are gone; what it was is history.
  if (!artifact || row.collected_at) return [];
  const text = await readFile(artifact.manifest, "utf8").catch(() => null);
  if (text === null) return [];
  const manifest: Manifest = JSON.parse(text);
  const files = Object.entries(manifest.files)
    .slice(0, MOST)
    .map(([path, file]): BuiltFile => {
      return { path: path.slice(1), type: "file", size: file.size, digest: file.digest };
    });
  if (artifact.kind === "static") return files;
  const digest = row.artifact;
  const functions = artifact.functions.map(({ path, type, size }): BuiltFile => {
    return { path, type: type === "lambda" ? "lambda" : "edge", size, digest };
  });
  // A server that is started as it is is one function, which answers for every path.
  const app: BuiltFile = { path: "index", type: "lambda", size: artifact.size_bytes, digest };
  return [...(functions.length > 0 ? functions : [app]), ...files];
}
