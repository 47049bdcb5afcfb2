import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { parseDocument } from "yaml";

/**
 * The project that a folder belongs to: `name` in signalbox.yaml, else in package.json (without its scope), else
 * the folder's own name. `config` is the text of signalbox.yaml; its mistakes are the control plane's to report.
 */
export async function projectNameOf(root: string, config: string | null): Promise<string> {
  return slug(nameInYaml(config) ?? (await nameInPackage(root)) ?? basename(root)) || "app";
}

/** The project of a git URL: the repository's name. */
export function projectNameOfUrl(url: string): string {
  const last =
    url
      .replace(/[/\\]+$/, "")
      .split(/[/:\\]/)
      .at(-1) ?? "";
  return slug(last.replace(/\.git$/, "")) || "app";
}

// A host is `<name>-git-<branch>` at its longest kind, and a DNS label has 63 characters.
const LONGEST_NAME = 52;

/**
 * The nearest name that can begin a host: `@acme/My Shop` → `my-shop`. The suffixes of environments are taken
 * off, because `shop-staging` is the host of another project's staging.
 */
export function slug(name: string): string {
  return name
    .normalize("NFKD")
    .replace(/^@[^/]*\//, "")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/-git(?=-)/g, "")
    .slice(0, LONGEST_NAME)
    .replace(/-(?:staging|preview)-*$/, "")
    .replace(/^-+|-+$/g, "");
}

function nameInYaml(config: string | null): string | null {
  if (config === null) return null;
  const name: unknown = parseDocument(config, { logLevel: "silent" }).get?.("name");
  return typeof name === "string" && name !== "" ? name : null;
}

async function nameInPackage(root: string): Promise<string | null> {
  try {
    const { name } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { name?: unknown };
    return typeof name === "string" && name !== "" ? name : null;
  } catch {
    return null;
  }
}
