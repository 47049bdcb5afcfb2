import { createHash } from "node:crypto";
import { constants } from "node:fs";
import {
  copyFile,
  link,
  lstat,
  mkdir,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { AppError, errorCodeOf } from "../../../foundation/errors.ts";
import { randomText } from "../../../foundation/ids.ts";
import { inParallel } from "../../build/in-parallel.ts";
import type { FunctionSpec } from "./function-config.ts";

const AT_ONCE = 16;

/**
 * Lays a function's files out as they are on Vercel: a directory of its own with everything in its place, also what
 * `filePathMap` takes from the repository. Each file is copied once for the release, and its functions share the copy
 * by hard links: the artifact is other releases' too, and a function that writes into its own files must not change
 * it. It lies outside of the release's tree: otherwise a `package.json` of the repository would decide how Node reads
 * the function's modules.
 * @returns the bundle's directory, made once for each release.
 */
export async function layOut(
  spec: FunctionSpec,
  options: { tree: string; bundles: string },
): Promise<string> {
  const { tree, bundles } = options;
  const id = createHash("sha256").update(relative(tree, spec.directory)).digest("hex").slice(0, 24);
  const place = join(bundles, id);
  if (await exists(place)) return place;
  await mkdir(bundles, { recursive: true });
  await writeFile(join(bundles, "package.json"), "{}\n");
  const draft = join(bundles, `.${id}-${randomText(8)}`);
  const layout = { root: draft, tree, copies: join(bundles, ".copies") };
  await mkdir(layout.copies, { recursive: true });
  try {
    await mkdir(draft);
    await copyDirectory(spec.directory, draft, layout);
    await inParallel(Object.entries(spec.filePathMap), AT_ONCE, ([to, from]) =>
      placeFile(inside(tree, from), inside(draft, to), layout),
    );
    await rename(draft, place);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Somebody else was faster: theirs is the same.
    if (!(await exists(place))) throw error;
  }
  return place;
}

type Layout = {
  /** Of the bundle. */
  readonly root: string;
  readonly tree: string;
  /** The release's own files, named by where they come from. */
  readonly copies: string;
};

async function copyDirectory(from: string, to: string, layout: Layout): Promise<void> {
  const entries = await readdir(from, { withFileTypes: true });
  const [folders, files] = [
    entries.filter((one) => one.isDirectory()),
    entries.filter((one) => !one.isDirectory()),
  ];
  await inParallel(files, AT_ONCE, ({ name }) => placeFile(join(from, name), join(to, name), layout));
  for (const { name } of folders) {
    await mkdir(join(to, name), { recursive: true });
    await copyDirectory(join(from, name), join(to, name), layout);
  }
}

async function placeFile(source: string, target: string, layout: Layout): Promise<void> {
  const facts = await lstat(source);
  await mkdir(dirname(target), { recursive: true });
  if (facts.isSymbolicLink()) return placeLink(await readlink(source), target, layout.root);
  if (facts.isDirectory()) return copyDirectory(source, target, layout);
  if (!facts.isFile()) throw outside(source, "is neither a file nor a link");
  const copy = await copyOf(source, layout);
  try {
    await link(copy, target);
  } catch (error) {
    if (errorCodeOf(error) === "EEXIST") return;
    // More links than the file system allows.
    await copyFile(copy, target, constants.COPYFILE_FICLONE);
  }
}

/** Whole or absent: two bundles may want the same file at once. */
async function copyOf(source: string, { tree, copies }: Layout): Promise<string> {
  const copy = join(copies, createHash("sha256").update(relative(tree, source)).digest("hex").slice(0, 32));
  if (await exists(copy)) return copy;
  const draft = `${copy}-${randomText(8)}`;
  await copyFile(source, draft, constants.COPYFILE_FICLONE);
  await rename(draft, copy);
  return copy;
}

/** A package manager's link between packages: kept as it is when it stays in the bundle. */
async function placeLink(destination: string, target: string, root: string): Promise<void> {
  const led = resolve(dirname(target), destination);
  if (led !== root && !led.startsWith(root + sep))
    throw outside(relative(root, target), `leads to ${destination}`);
  await symlink(destination, target).catch((error) => {
    if (errorCodeOf(error) !== "EEXIST") throw error;
  });
}

function inside(root: string, path: string): string {
  const whole = resolve(root, path);
  if (whole.startsWith(root + sep) && !path.includes("\0")) return whole;
  throw outside(path, "is outside of the deployment");
}

function outside(path: string, problem: string): AppError {
  return new AppError("unprocessable", `The file ${path} of a function ${problem}.`, {
    hint: "Build it again with `vercel build`.",
  });
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
