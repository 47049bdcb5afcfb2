/** One line of a `.gitignore`, compiled. Later rules win over earlier ones. */
export type IgnoreRule = {
  readonly pattern: RegExp;
  readonly negated: boolean;
  readonly directoryOnly: boolean;
};

/**
 * Compiles the text of an ignore file (gitignore(5)). `base` is the folder it lies in, relative to the tree's
 * root, "" for the root itself; the rules match paths relative to the root.
 */
export function parseIgnore(text: string, base = ""): IgnoreRule[] {
  return text.split(/\r?\n/).flatMap((line) => {
    // A blank at the end counts only when it is escaped.
    let rule = line.replace(/(?<!\\)[ \t]+$/, "");
    if (rule === "" || rule.startsWith("#")) return [];
    const negated = rule.startsWith("!");
    if (negated) rule = rule.slice(1);
    const directoryOnly = rule.endsWith("/");
    if (directoryOnly) rule = rule.slice(0, -1);
    // A slash at the beginning or in the middle ties the pattern to this folder.
    const anchored = rule.includes("/");
    if (rule.startsWith("/")) rule = rule.slice(1);
    if (rule === "") return [];
    const prefix = base === "" ? "" : `${escapeText(base)}/`;
    const pattern = new RegExp(`^${prefix}${anchored ? "" : "(?:.*/)?"}${globToRegExp(rule)}$`, "s");
    return [{ pattern, negated, directoryOnly }];
  });
}

/** Whether the rules leave `path` out; its folders are taken as not left out. */
export function isIgnored(rules: readonly IgnoreRule[], path: string, isDirectory: boolean): boolean {
  for (let index = rules.length - 1; index >= 0; index--) {
    const rule = rules[index];
    if (rule === undefined || (rule.directoryOnly && !isDirectory)) continue;
    if (rule.pattern.test(path)) return !rule.negated;
  }
  return false;
}

/** Whether the rules leave out the file `path` or one of the folders it lies in. Remembers folders for its caller. */
export function createPathFilter(rules: readonly IgnoreRule[]): (path: string) => boolean {
  const folders = new Map<string, boolean>([["", false]]);
  const folderIgnored = (folder: string): boolean => {
    const known = folders.get(folder);
    if (known !== undefined) return known;
    const ignored = folderIgnored(parentOf(folder)) || isIgnored(rules, folder, true);
    folders.set(folder, ignored);
    return ignored;
  };
  if (rules.length === 0) return () => false;
  return (path) => folderIgnored(parentOf(path)) || isIgnored(rules, path, false);
}

const NEVER_SENT = new Set([".git", "node_modules", ".signalbox", ".vercel"]);
/** Prebuilt output is sent whole, whatever its files are called: functions in it bring their own node_modules. */
export const PREBUILT = ".vercel/output";

/** What is left out of every tree: histories, installed packages, our own state, and files of secrets. */
export function isNeverSent(path: string): boolean {
  if (path.startsWith(`${PREBUILT}/`)) return false;
  return path.split("/").some((part) => NEVER_SENT.has(part) || part.startsWith(".env"));
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash === -1 ? "" : path.slice(0, slash);
}

function globToRegExp(glob: string): string {
  let expression = "";
  for (let at = 0; at < glob.length; ) {
    const [piece, length] = nextPiece(glob, at);
    expression += piece;
    at += length;
  }
  return expression;
}

/** The regular expression of what stands at `at`, and how many characters it took. */
function nextPiece(glob: string, at: number): [expression: string, length: number] {
  const rest = glob.slice(at);
  const wholePart = at === 0 || glob[at - 1] === "/";
  if (wholePart && rest.startsWith("**/")) return ["(?:.*/)?", 3];
  if (wholePart && rest === "**") return [".+", 2];
  const char = glob[at] ?? "";
  if (char === "*") return ["[^/]*", /^\*+/.exec(rest)?.[0].length ?? 1];
  if (char === "?") return ["[^/]", 1];
  if (char === "\\" && rest.length > 1) return [escapeText(rest[1] ?? ""), 2];
  const set = char === "[" ? /^\[([!^]?)(\]?(?:\\.|[^\]\\])*)\]/s.exec(rest) : null;
  if (set !== null) {
    const members = (set[2] ?? "").replace(/[[\]^]/g, "\\$&");
    return [`(?!/)[${set[1] === "" ? "" : "^"}${members}]`, set[0].length];
  }
  return [escapeText(char), 1];
}

function escapeText(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
