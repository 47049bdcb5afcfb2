import { type Framework, type FrameworkDetectionItem, frameworkList } from "@vercel/frameworks";
import { BuildFailure } from "./build.ts";
import type { PackageJson } from "./package-json.ts";
import type { SourceTree } from "./source-tree.ts";

/** Frameworks that match, without those that another match supersedes; in the list's order, which is by preference. */
export async function detectFrameworks(
  tree: SourceTree,
  packageJson: PackageJson | null,
): Promise<Framework[]> {
  const found: Framework[] = [];
  for (const framework of frameworkList) {
    if (framework.experimental) continue;
    if (await matches(framework, tree, packageJson)) found.push(framework);
  }
  const superseded = new Set(found.flatMap((framework) => framework.supersedes ?? []));
  return found.filter((framework) => framework.slug === null || !superseded.has(framework.slug));
}

/** The framework that the settings name. @throws BuildFailure when there is none of that name. */
export function frameworkOf(slug: string): Framework {
  const framework = frameworkList.find((candidate) => candidate.slug === slug);
  if (framework) return framework;
  throw new BuildFailure(
    "BUILD_INVALID_CONFIG",
    `There is no framework ${JSON.stringify(slug)}.`,
    "Use a slug of Vercel's list (vite, nextjs, astro, express, …), or leave it out to have it detected.",
  );
}

async function matches(
  { detectors }: Framework,
  tree: SourceTree,
  packageJson: PackageJson | null,
): Promise<boolean> {
  if (!detectors) return false;
  const { every = [], some = [] } = detectors;
  if (every.length + some.length === 0) return false;
  for (const item of every) if (!(await matchesItem(item, tree, packageJson))) return false;
  if (some.length === 0) return true;
  for (const item of some) if (await matchesItem(item, tree, packageJson)) return true;
  return false;
}

async function matchesItem(
  item: FrameworkDetectionItem,
  tree: SourceTree,
  packageJson: PackageJson | null,
): Promise<boolean> {
  if (item.matchPackage !== undefined) {
    if (!packageJson) return false;
    const { dependencies, devDependencies } = packageJson;
    return (
      Object.hasOwn(dependencies, item.matchPackage) || Object.hasOwn(devDependencies, item.matchPackage)
    );
  }
  if (item.path === undefined) return false;
  if (item.matchContent === undefined) return tree.has(item.path) || tree.hasDirectory(item.path);
  const text = await tree.read(item.path);
  return text !== null && new RegExp(item.matchContent, "m").test(text);
}
