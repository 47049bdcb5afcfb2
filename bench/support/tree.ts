import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

export type SourceFile = {
  readonly path: string;
  readonly sha1: string;
  readonly size: number;
  readonly mode: number;
  readonly body: Buffer;
};

const LEFT_OUT = new Set(["node_modules", "dist", ".git", ".signalbox"]);

/** Every file under `directory` that a deployment sends, with its digest, sorted by path. */
export async function readTree(directory: string): Promise<SourceFile[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .filter((path) => !path.split("/").some((part) => LEFT_OUT.has(part)));
  return Promise.all(paths.sort().map((path) => readSource(directory, path)));
}

async function readSource(directory: string, path: string): Promise<SourceFile> {
  const [body, { mode }] = await Promise.all([readFile(join(directory, path)), stat(join(directory, path))]);
  return sourceFile(path, body, mode);
}

export function sourceFile(path: string, content: Buffer | string, mode = 0o100644): SourceFile {
  const body = Buffer.from(content);
  return { path, sha1: createHash("sha1").update(body).digest("hex"), size: body.length, mode, body };
}

/** The tree with some of its files replaced or added. */
export function withFiles(tree: readonly SourceFile[], changed: readonly SourceFile[]): SourceFile[] {
  const paths = new Set(changed.map((file) => file.path));
  return [...tree.filter((file) => !paths.has(file.path)), ...changed];
}
