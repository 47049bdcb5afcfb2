import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";

/** A module of an edge function: where it is, and in which of the two forms it is written. */
export type Resolved = { readonly path: string; readonly format: "module" | "commonjs" | "json" | "wasm" };

// What bundlers for the edge look for, in the order that a package lists them.
const CONDITIONS = new Set(["edge-light", "worker", "browser", "module", "import", "default"]);
const ENDINGS = ["", ".js", ".mjs", ".cjs", ".json", "/index.js", "/index.mjs", "/index.cjs"];

/**
 * Where a specifier leads from a file, by the rules that bundlers have: packages by their `exports`, endings may be
 * left out. Never a file outside of `root`. @throws Error
 */
export function resolveEdgeModule(root: string, specifier: string, from: string): Resolved {
  const name = specifier.replace(/\?module$/, "");
  const path = /^\.{0,2}\//.test(name)
    ? fileAt(absolute(root, name, from))
    : packageFile(root, name, dirname(from));
  if (path === null) throw new Error(`${specifier} is not in the edge function.`);
  if (!path.startsWith(root + sep)) throw new Error(`${specifier} is outside of the edge function.`);
  return { path, format: formatOf(root, path) };
}

function absolute(root: string, name: string, from: string): string {
  const path = name.startsWith("/") ? join(root, name) : resolve(dirname(from), name);
  if (path.startsWith(root + sep)) return path;
  throw new Error(`${name} is outside of the edge function.`);
}

function fileAt(path: string): string | null {
  return (
    ENDINGS.map((ending) => path + ending).find((one) =>
      statSync(one, { throwIfNoEntry: false })?.isFile(),
    ) ?? null
  );
}

function packageFile(root: string, specifier: string, from: string): string | null {
  const [, name = "", rest = ""] = /^((?:@[^/]+\/)?[^/]+)(.*)$/.exec(specifier) ?? [];
  for (let folder = from; folder.startsWith(root); folder = dirname(folder)) {
    const place = join(folder, "node_modules", name);
    if (!existsSync(join(place, "package.json"))) continue;
    const { exports, module, main } = readManifest(place);
    if (exports !== undefined) {
      const target = exported(exports, `.${rest}`);
      return target === null ? null : fileAt(join(place, target));
    }
    return rest === ""
      ? fileAt(join(place, text(module) ?? text(main) ?? "index.js"))
      : fileAt(join(place, rest));
  }
  return null;
}

/** The target of a subpath in a package's `exports`. https://nodejs.org/api/packages.html#package-entry-points */
function exported(exports: unknown, subpath: string): string | null {
  const table = exports as Record<string, unknown>;
  const isTable =
    typeof exports === "object" &&
    exports !== null &&
    Object.keys(exports).some((key) => key.startsWith("."));
  if (!isTable) return subpath === "." ? target(exports, "") : null;
  if (table[subpath] !== undefined) return target(table[subpath], "");
  for (const [key, value] of Object.entries(table)) {
    const [before = "", after = ""] = key.split("*");
    if (!key.includes("*") || !subpath.startsWith(before) || !subpath.endsWith(after)) continue;
    return target(value, subpath.slice(before.length, subpath.length - after.length));
  }
  return null;
}

function target(value: unknown, star: string): string | null {
  if (typeof value === "string") return value.replaceAll("*", star);
  if (typeof value !== "object" || value === null) return null;
  for (const [condition, inner] of Object.entries(value)) {
    const found = CONDITIONS.has(condition) || Array.isArray(value) ? target(inner, star) : null;
    if (found !== null) return found;
  }
  return null;
}

function formatOf(root: string, path: string): Resolved["format"] {
  if (path.endsWith(".wasm")) return "wasm";
  if (path.endsWith(".json")) return "json";
  if (path.endsWith(".mjs")) return "module";
  if (path.endsWith(".cjs")) return "commonjs";
  // A function's own files are modules, whatever its package says: that is how bundlers read them.
  if (!path.includes(`${sep}node_modules${sep}`)) return "module";
  for (let folder = dirname(path); folder.startsWith(root); folder = dirname(folder)) {
    if (!existsSync(join(folder, "package.json"))) continue;
    if (readManifest(folder).type === "module") return "module";
    break;
  }
  // Packages with a `module` field have ES modules in plain `.js` files too.
  return /^\s*(import|export)\b/m.test(readFileSync(path, "utf8")) ? "module" : "commonjs";
}

function readManifest(folder: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  } catch {
    return {};
  }
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
