import type { Site } from "./site.ts";

/** What a path means in a static site. */
export type Found =
  | { readonly kind: "file"; readonly path: string }
  /** The same page has one address: with or without the slash, with or without `.html`. */
  | { readonly kind: "redirect"; readonly location: string }
  | { readonly kind: "none" };

const NONE: Found = { kind: "none" };

/**
 * Finds the file of a decoded path. `/docs/` is `/docs/index.html`; `/docs` redirects to `/docs/` when that is
 * where the page is. With clean URLs `/about` is `/about.html`, and `/about.html`, `/about/` and `/docs/index.html`
 * redirect to the short form.
 */
export function findFile(site: Pick<Site, "files" | "cleanUrls">, path: string): Found {
  return site.cleanUrls ? findClean(site.files, path) : findPlain(site.files, path);
}

type Names = { has(path: string): boolean };

function findPlain(files: Names, path: string): Found {
  if (files.has(path)) return { kind: "file", path };
  if (path.endsWith("/")) {
    const index = `${path}index.html`;
    return files.has(index) ? { kind: "file", path: index } : NONE;
  }
  return files.has(`${path}/index.html`) ? redirect(`${path}/`) : NONE;
}

function findClean(files: Names, path: string): Found {
  if (path.endsWith(".html") && files.has(path)) {
    return redirect(path.endsWith("/index.html") ? path.slice(0, -11) || "/" : path.slice(0, -5));
  }
  if (files.has(path)) return { kind: "file", path };
  if (path === "/") return files.has("/index.html") ? { kind: "file", path: "/index.html" } : NONE;
  const bare = path.endsWith("/") ? path.slice(0, -1) : path;
  const page = files.has(`${bare}.html`) ? `${bare}.html` : `${bare}/index.html`;
  if (!files.has(page)) return NONE;
  return bare === path ? { kind: "file", path: page } : redirect(bare);
}

/** `//evil.example/` in a `Location` would be another host. */
function redirect(path: string): Found {
  if (path.startsWith("//")) return NONE;
  return { kind: "redirect", location: encodeURI(path).replace(/[?#]/g, encodeURIComponent) };
}
