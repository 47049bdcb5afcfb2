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
import type { FunctionSpec } from "./function-config.ts";

/**
 * Lays a function's files out as they are on Vercel: a directory of its own with everything in its place, also what
 * `filePathMap` takes from the repository. Hard links, so that it costs no space. It lies outside of the release's
 * tree: otherwise a `package.json` of the repository would decide how Node reads the function's modules.
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
  try {
    await mkdir(draft);
    await copyDirectory(spec.directory, draft, draft);
    for (const [to, from] of Object.entries(spec.filePathMap)) {
      await placeFile(inside(tree, from), inside(draft, to), draft);
    }
    await rename(draft, place);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Somebody else was faster: theirs is the same.
    if (!(await exists(place))) throw error;
  }
  return place;
}

async function copyDirectory(from: string, to: string, root: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      await mkdir(target, { recursive: true });
      await copyDirectory(source, target, root);
    } else await placeFile(source, target, root);
  }
}

async function placeFile(source: string, target: string, root: string): Promise<void> {
  const facts = await lstat(source);
  await mkdir(dirname(target), { recursive: true });
  if (facts.isSymbolicLink()) return placeLink(await readlink(source), target, root);
  if (facts.isDirectory()) return copyDirectory(source, target, root);
  if (!facts.isFile()) throw outside(source, "is neither a file nor a link");
  try {
    await link(source, target);
  } catch (error) {
    if (errorCodeOf(error) === "EEXIST") return;
    await copyFile(source, target, constants.COPYFILE_FICLONE);
  }
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
