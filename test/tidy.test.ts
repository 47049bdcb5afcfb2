import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { parseSync, Visitor } from "vite";
import { expect, test } from "vitest";

/** Style as a test: what it says here is what holds. Limits and their reasons: CONTRIBUTING.md. */
const FILE_LINES_MAX = 400;
const TEST_FILE_LINES_MAX = 600;
const LINE_COLUMNS_MAX = 120;
const FUNCTION_LINES_MAX = 70;

type Rule = { pattern: RegExp; where: RegExp; except: RegExp; instead: string };

const BANNED: readonly Rule[] = [
  {
    pattern: /\bprocess\.env\b/,
    where: /^src\//,
    // The preload runs inside the apps, whose environment is the only thing that it is given.
    // So it is with the output server, and with the processes of functions.
    except:
      /^src\/(config|main)\.ts$|^src\/dock\/(run\/listen-preload\.mjs$|output\/(main\.ts$|child\/))|\.test\.ts$/,
    instead: "a field of Config (src/config.ts is the only reader of the environment)",
  },
  {
    pattern: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/,
    where: /^src\//,
    // What is published by itself has a clock of its own.
    except: /^src\/(foundation|health)\/clock\.ts$|\.test\.ts$/,
    instead: "deps.clock.now() or deps.clock.monotonicMs()",
  },
  {
    pattern: /\bMath\.random\(|\brandomUUID\(/,
    where: /^src\//,
    except: /^src\/foundation\/ids\.ts$|\.test\.ts$/,
    instead: "deps.ids or randomText (src/foundation/ids.ts)",
  },
  {
    pattern: /\bnow\(\)|\bcurrent_timestamp\b/i,
    where: /^migrations\/.*\.sql$/,
    except: /^$/,
    instead: "a bound parameter: time comes from the clock, never from the database",
  },
  {
    pattern: /\b(TODO|FIXME|HACK|XXX)\b/,
    where: /^(src|bin|web|scripts|bench|test|migrations|docs)\//,
    except: /^test\/tidy\.test\.ts$/,
    instead: "doing it, or an issue",
  },
  {
    pattern: /\b(it|test|describe)\.(skip|only|todo)\b/,
    where: /\.test\.ts$/,
    except: /^test\/tidy\.test\.ts$/,
    instead: "a test that runs",
  },
];

/** What each folder of src/ may import of the others. A folder not named here is a domain: see `mayImport`. */
const IMPORTS: Readonly<Record<string, readonly string[]>> = {
  foundation: [],
  routing: [],
  health: [],
  gateway: ["foundation", "routing"],
  dock: ["foundation", "gateway", "routing"],
  cli: ["foundation", "config.ts"],
  providers: [
    "checks",
    "foundation",
    "targets",
    "deployments",
    "sources",
    "projects",
    "schema",
    "failover",
    "previews",
    "rollouts",
    "gateway",
  ],
};
const ROOT_FILES = [
  "main.ts",
  "app.ts",
  "control-api.ts",
  "prober-app.ts",
  "config.ts",
  "process-options.ts",
  "supervisor",
];

const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { encoding: "utf8" })
  .split("\n")
  .filter((file) => file !== "" && existsSync(file));
const code = files.filter((file) => /^(src|scripts|bench|test|web|bin)\/.*\.(ts|tsx|mjs)$/.test(file));
const text = (file: string) => readFileSync(file, "utf8");

test(`files, functions and lines stay small`, () => {
  const problems: string[] = [];
  for (const file of code) {
    const lines = text(file).split("\n");
    const most = /(^test\/|\.test\.ts$)/.test(file) ? TEST_FILE_LINES_MAX : FILE_LINES_MAX;
    if (lines.length > most + 1) problems.push(`${file}: ${lines.length - 1} lines (at most ${most})`);
    lines.forEach((line, at) => {
      if (line.length > LINE_COLUMNS_MAX) problems.push(`${file}:${at + 1}: ${line.length} columns`);
    });
    problems.push(...longFunctions(file));
  }
  expect(problems).toEqual([]);
});

test("banned calls are not made; each names what to use instead", () => {
  const problems: string[] = [];
  for (const rule of BANNED) {
    for (const file of files.filter((name) => rule.where.test(name) && !rule.except.test(name))) {
      text(file)
        .split("\n")
        .forEach((line, at) => {
          if (!/^\s*(\/\/|\*|\/\*|--)/.test(line) && rule.pattern.test(line)) {
            problems.push(`${file}:${at + 1}: use ${rule.instead}`);
          }
        });
    }
  }
  expect(problems).toEqual([]);
});

test("imports point in the direction that ARCHITECTURE.md gives", () => {
  const problems: string[] = [];
  for (const file of code.filter((name) => name.startsWith("src/") && !name.endsWith(".test.ts"))) {
    for (const { target } of importsOf(file)) {
      const problem = target.startsWith("src/") ? mayImport(file, target) : null;
      if (problem) problems.push(`${file} imports ${target}: ${problem}`);
    }
  }
  expect(problems).toEqual([]);
});

test("no file of src/ is dead", () => {
  const entries = new Set([
    "src/main.ts",
    "src/gateway/worker.ts",
    "src/dock/output/main.ts",
    "src/dock/output/child/main.ts",
  ]);
  const imported = new Set(code.flatMap((file) => importsOf(file).map(({ target }) => target)));
  const named = code.map(text).join("\n");
  const dead = code.filter(
    (file) =>
      file.startsWith("src/") &&
      !file.endsWith(".test.ts") &&
      !entries.has(file) &&
      !imported.has(file) &&
      !(/\.mjs$/.test(file) && named.includes(file.split("/").at(-1) ?? "")),
  );
  expect(dead).toEqual([]);
});

test("paths cited in the docs exist", () => {
  const missing: string[] = [];
  for (const file of files.filter((name) => /^[^/]*\.md$|^docs\/.*\.md$|^bench\/.*\.md$/.test(name))) {
    for (const [, path = ""] of text(file).matchAll(
      /`((?:src|test|bench|migrations|examples|docs|scripts|schemas|bin)\/[\w./-]+)`/g,
    )) {
      if (!existsSync(path)) missing.push(`${file}: ${path}`);
    }
  }
  expect(missing).toEqual([]);
});

test("the lock file names no registry host", () => {
  expect(text("package-lock.json")).not.toContain('"resolved": "http');
});

function mayImport(from: string, to: string): string | null {
  const folder = from.split("/")[1] ?? "";
  const other = to.split("/")[1] ?? "";
  if (folder === other || ROOT_FILES.includes(folder)) {
    return !["app.ts", "control-api.ts", "prober-app.ts"].includes(folder) &&
      folder !== other &&
      other === "providers"
      ? "only app.ts and prober-app.ts import providers"
      : null;
  }
  const allowed = IMPORTS[folder];
  if (allowed)
    return allowed.includes(other) ? null : `${folder}/ may import ${allowed.join(", ") || "nothing"}`;
  if (other === "foundation") return null;
  if (["providers", "dock", "gateway", "routing", "cli"].includes(other) || other.endsWith(".ts"))
    return "a domain may not";
  const isPort = /^src\/(targets|sources)\/\w+\.ts$/.test(to);
  return /\/index\.ts$/.test(to) || isPort ? null : "another domain is imported through its index.ts";
}

function importsOf(file: string): { target: string }[] {
  const found = [...text(file).matchAll(/(?:from|import\(|import|new URL\()\s*"(\.{1,2}\/[^"]+)"/g)];
  return found.map(([, path = ""]) => ({ target: normalize(join(dirname(file), path)) }));
}

function longFunctions(file: string): string[] {
  const source = text(file);
  const starts = [0];
  for (let at = source.indexOf("\n"); at !== -1; at = source.indexOf("\n", at + 1)) starts.push(at + 1);
  const lineOf = (offset: number) => starts.findLastIndex((start) => start <= offset) + 1;
  const problems: string[] = [];
  const headings = new Set<number>();
  const measure = (node: { start: number; end: number }) => {
    const lines = lineOf(node.end) - lineOf(node.start) + 1;
    if (lines > FUNCTION_LINES_MAX && !headings.has(node.start))
      problems.push(`${file}:${lineOf(node.start)}: a function of ${lines} lines`);
  };
  new Visitor({
    // A `describe` is a heading, not a function: what is in it is measured by itself.
    CallExpression: ({ callee, arguments: args }) => {
      const body = args.at(-1);
      if (callee.type === "Identifier" && callee.name === "describe" && body) headings.add(body.start);
    },
    FunctionDeclaration: measure,
    FunctionExpression: measure,
    ArrowFunctionExpression: measure,
  }).visit(parseSync(file, source).program);
  return problems;
}
