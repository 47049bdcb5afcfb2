import { z } from "zod";
import { BuildFailure } from "./build.ts";
import type { SourceTree } from "./source-tree.ts";

const strings = z.record(z.string(), z.string()).catch({});

const PackageJson = z.object({
  name: z.string().optional().catch(undefined),
  version: z.string().optional().catch(undefined),
  packageManager: z.string().optional().catch(undefined),
  scripts: strings.default({}),
  dependencies: strings.default({}),
  devDependencies: strings.default({}),
  workspaces: z.unknown().optional(),
});

/** The parts of a package.json that decide a build. A field of the wrong type counts as absent, as npm treats it. */
export type PackageJson = z.infer<typeof PackageJson>;

/** Null when the tree has none. @throws BuildFailure when it is no JSON object. */
export async function readPackageJson(tree: SourceTree): Promise<PackageJson | null> {
  const text = await tree.read("package.json");
  if (text === null) return null;
  try {
    return PackageJson.parse(JSON.parse(text.replace(/^\uFEFF/, "")));
  } catch (error) {
    const why = error instanceof SyntaxError ? error.message : "it is not an object";
    throw new BuildFailure(
      "BUILD_INVALID_CONFIG",
      `package.json cannot be read: ${why}.`,
      "Correct it (`npm pkg get name` reports the place) and deploy again.",
    );
  }
}
