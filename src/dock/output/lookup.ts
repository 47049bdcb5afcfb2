import type { Lookup } from "../../routing/index.ts";
import type { FunctionEntry, ReleaseOutput, StaticFile } from "./read-output.ts";

export type Output = StaticFile | FunctionEntry | { readonly kind: "image" };

const IMAGE: Output = { kind: "image" };
const IMAGE_ENDPOINT = /\/_(?:vercel|next)\/image\/?$/;

/** What a release has at a path. Everything is known beforehand: a path that is not in a table is nothing. */
export function createLookup({ files, functions, images }: ReleaseOutput): Lookup<Output> {
  const exact = (path: string) => files.get(path) ?? functions.get(path) ?? null;
  return (path) => {
    if (images !== null && IMAGE_ENDPOINT.test(path)) return IMAGE;
    const plain = decoded(path);
    const found = exact(path) ?? (plain === path ? null : exact(plain));
    if (found !== null) return found;
    const folder = plain.replace(/\/+$/, "");
    return (
      files.get(`${folder}/index.html`) ??
      // With clean URLs the CLI renames it.
      files.get(`${folder}/index`) ??
      functions.get(`${folder}/index`) ??
      (folder === plain || folder === "" ? null : exact(folder))
    );
  };
}

/**
 * An escaped separator is none: `/admin%2Fsecret` is not below `/admin` for the routes, and so it must not be here
 * either.
 */
function decoded(path: string): string {
  if (!path.includes("%")) return path;
  try {
    return path
      .split(/(%2f|%5c)/i)
      .map((part, at) => (at % 2 === 1 ? part : decodeURIComponent(part)))
      .join("");
  } catch {
    return path;
  }
}
