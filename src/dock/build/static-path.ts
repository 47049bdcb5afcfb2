/**
 * True for a name with a content hash in it, as bundlers write them: `index-BxK3a9_d.js`, `app.3f2a9c1b.css`,
 * `chunk.0a1b2c3d4e5f6071.mjs`. Such a file never changes under its name and may be kept by browsers for ever.
 */
export function isImmutable(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const bare = name.replace(/\.(chunk|bundle|min)(?=\.)/, "");
  const hex = /[.-]([0-9a-f]{8,32})\.[a-z0-9]{2,11}(\.map)?$/.exec(bare)?.[1];
  // `report.20240131.pdf` is a date, `app-12345678.js` a number somebody counts up.
  if (hex !== undefined && /\d/.test(hex) && /[a-f]/.test(hex)) return true;
  const hash = /[.-]([A-Za-z0-9_-]{8})\.[a-z0-9]{2,11}(\.map)?$/.exec(bare)?.[1];
  // 8 characters of base64url look like a word: they must stand where bundlers put hashed files, and read like noise.
  return hash !== undefined && BUNDLED.test(path) && transitions(hash) >= 4;
}

const BUNDLED = /(^|\/)(assets|_astro|_app\/immutable|chunks?|static|_nuxt|build)\//;

/** How often the kind of character changes: 2 or 3 times in `Photo123` and `MyPhotos`, mostly 4 to 7 in a hash. */
function transitions(text: string): number {
  const kinds = [...text].map((c) =>
    /[a-z]/.test(c) ? "a" : /[A-Z]/.test(c) ? "A" : /\d/.test(c) ? "0" : "_",
  );
  return kinds.filter((kind, index) => index > 0 && kind !== kinds[index - 1]).length;
}

const PRIVATE_NAMES = new Set([
  "node_modules",
  "package.json",
  "package-lock.json",
  "npm-shrinkwrap.json",
  "pnpm-lock.yaml",
  "pnpm-workspace.yaml",
  "yarn.lock",
  "bun.lock",
  "bun.lockb",
  "signalbox.yaml",
  "vercel.json",
]);

/**
 * Whether a file is served. `wholeTree`: the output is the repository itself, whose bookkeeping stays private;
 * otherwise it is a directory made to be served, of which only what is never meant to be seen is held back.
 */
export function isServed(path: string, wholeTree: boolean): boolean {
  const parts = path.split("/");
  if (parts.some((part) => part === ".git" || part === ".env" || part.startsWith(".env."))) return false;
  if (parts.at(-1) === ".DS_Store") return false;
  if (!wholeTree) return true;
  return parts.every((part) => !PRIVATE_NAMES.has(part) && (!part.startsWith(".") || part === ".well-known"));
}
