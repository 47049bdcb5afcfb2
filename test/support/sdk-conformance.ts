import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { Vercel } from "@vercel/sdk";
import { HTTPClient } from "@vercel/sdk/lib/http.js";

/** What the suite says of one method of the SDK. */
export type Verdict = { readonly verdict: "passes" | "partly"; readonly remark: string };

/**
 * The official SDK with its own validation on, and a look at what it was sent: a field of the answer that the SDK's
 * schemas know and its result lacks was lost (a union of schemas falls back silently to the smaller one).
 */
export type Conformance = {
  readonly vercel: Vercel;
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** Calls a method (`projects.getProject`) and fails where it throws or loses something. */
  call<T>(method: string, work: (vercel: Vercel) => Promise<T>): Promise<T>;
  /** A method that is answered as Vercel answers, and that the SDK itself cannot read or that does less here. */
  partly(method: string, remark: string, work: (vercel: Vercel) => Promise<unknown>): Promise<void>;
};

export function conformance(options: { serverURL: string; token: string }): Conformance {
  let sent = "";
  const httpClient = new HTTPClient();
  httpClient.addHook("response", async (response) => {
    sent = await response.clone().text();
  });
  const vercel = new Vercel({ bearerToken: options.token, serverURL: options.serverURL, httpClient });
  const verdicts = new Map<string, Verdict>();
  return {
    vercel,
    verdicts,
    async call(method, work) {
      if (!allMethods().includes(method)) throw new Error(`the SDK has no method ${method}`);
      const result = await work(vercel).catch((error: unknown) => {
        throw new Error(`${method}: ${String(error)}\nThe dock sent: ${sent.slice(0, 2_000)}`, {
          cause: error,
        });
      });
      const lost = lostFields(parsed(sent), unwrapped(result), answerOf(method));
      if (lost.length > 0) throw new Error(`${method} lost ${lost.join(", ")}\nThe dock sent: ${sent}`);
      if (verdicts.get(method)?.verdict !== "partly") verdicts.set(method, { verdict: "passes", remark: "" });
      return result;
    },
    async partly(method, remark, work) {
      if (!allMethods().includes(method)) throw new Error(`the SDK has no method ${method}`);
      await work(vercel);
      verdicts.set(method, { verdict: "partly", remark });
    },
  };
}

let methods: string[] | null = null;
/** Every method of the SDK as `namespace.method`. */
export function allMethods(): string[] {
  methods ??= namespaces().flatMap(([name, prototype]) =>
    Object.getOwnPropertyNames(prototype)
      .filter((method) => method !== "constructor")
      .map((method) => `${name}.${method}`),
  );
  return methods;
}

function namespaces(): [string, object][] {
  const vercel = new Vercel({ bearerToken: "x" });
  return Object.entries(Object.getOwnPropertyDescriptors(Vercel.prototype))
    .filter(([, descriptor]) => descriptor.get !== undefined)
    .map(([name]) => [name, Object.getPrototypeOf(Reflect.get(vercel, name)) as object]);
}

/** The Markdown of `docs/dock-compatibility.md`: what is called, then how many of each namespace are not. */
export function sdkTable(verdicts: ReadonlyMap<string, Verdict>): string {
  const all = allMethods();
  const count = (verdict: Verdict["verdict"]) =>
    [...verdicts.values()].filter((one) => one.verdict === verdict).length;
  const missing = Map.groupBy(
    all.filter((method) => !verdicts.has(method)),
    (method) => method.split(".")[0] ?? "",
  );
  const rows = [...verdicts].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    `${count("passes")} methods pass, ${count("partly")} partly, ${all.length - verdicts.size} are not supported.`,
    "",
    "| Method | Verdict | Remark |",
    "|---|---|---|",
    ...rows.map(([method, { verdict, remark }]) => `| \`${method}\` | ${verdict} | ${remark} |`),
    "",
    "Not supported, by namespace:",
    "",
    ...[...missing].map(
      ([name, of]) => `- ${name}: ${of.map((method) => `\`${method.split(".")[1]}\``).join(", ")}`,
    ),
  ].join("\n");
}

// Some results are pages: an async iterator around what was sent.
function unwrapped(result: unknown): unknown {
  if (typeof result !== "object" || result === null || !("result" in result)) return result;
  return result.result;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Paths of fields that were sent, that a schema knows at that place, and that are not there. One that is null may be
 * left out.
 */
function lostFields(sent: unknown, got: unknown, schemas: Schemas, path = ""): string[] {
  if (Array.isArray(sent)) {
    if (!Array.isArray(got)) return got === undefined ? [] : [`${path}[]`];
    return sent.flatMap((item, index) => lostFields(item, got[index], schemas, `${path}[${index}]`));
  }
  if (!isFields(sent) || !isFields(got)) return [];
  const byName = new Map(Object.entries(got).map(([name, value]) => [plain(name), value]));
  return Object.entries(sent).flatMap(([name, value]) => {
    const known = schemas.field(name);
    if (value === null || known === null) return [];
    const there = byName.get(plain(name));
    const at = path === "" ? name : `${path}.${name}`;
    return there === undefined ? [at] : lostFields(value, there, known, at);
  });
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** `x-vercel-id` and `xVercelId` are one name. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

const SDK = dirname(createRequire(import.meta.url).resolve("@vercel/sdk/package.json"));
const FUNCS = new Map(readdirSync(join(SDK, "esm/funcs")).map((file) => [file.toLowerCase(), file]));

/** The schemas that may be meant at one place of an answer. */
type Schemas = {
  /** Those of a field's value; null where none of these has such a field. */
  field(name: string): Schemas | null;
};

type Definition = {
  readonly fields: ReadonlyMap<string, readonly string[]>;
  readonly others: readonly string[];
};

/** The schemas of what a method answers, read from the SDK's own files: unions of them cannot be asked at run time. */
function answerOf(method: string): Schemas {
  const file = FUNCS.get(`${method.replace(".", "").toLowerCase()}.js`);
  if (file === undefined) throw new Error(`the SDK has no file for ${method}`);
  const path = join(SDK, "esm/funcs", file);
  const text = readFileSync(path, "utf8");
  const definitions = new Map<string, Definition>();
  for (const model of modelsOf(path, text, new Set())) {
    const source = readFileSync(model, "utf8");
    for (const [, name = "", body = ""] of source.matchAll(SCHEMA)) definitions.set(name, definitionOf(body));
  }
  return schemasOf(namesIn(/M\.match\(([\s\S]*?)\)\(response/.exec(text)?.[1] ?? ""), definitions);
}

const SCHEMA = /export const (\w+\$inboundSchema) = ([\s\S]*?)(?=\nexport |\n\/\*\*|$(?![\s\S]))/g;

function definitionOf(body: string): Definition {
  const fields = new Map<string, string[]>();
  for (const part of body.split(/\n(?= {4}(?:"[^"]+"|\w+): )/).slice(1)) {
    const [, name = ""] = /^ {4}"?([^":]+)"?: /.exec(part) ?? [];
    fields.set(plain(name), namesIn(part));
  }
  return { fields, others: fields.size === 0 ? namesIn(body) : [] };
}

function namesIn(text: string): string[] {
  return text.match(/\w+\$inboundSchema/g) ?? [];
}

function schemasOf(names: readonly string[], definitions: ReadonlyMap<string, Definition>): Schemas {
  const objects: Definition[] = [];
  const seen = new Set<string>();
  const open = (name: string) => {
    const definition = definitions.get(name);
    if (seen.has(name) || !definition) return;
    seen.add(name);
    if (definition.fields.size > 0) objects.push(definition);
    for (const other of definition.others) open(other);
  };
  for (const name of names) open(name);
  return {
    field(name) {
      const found = objects.flatMap(({ fields }) => fields.get(plain(name)) ?? []);
      const isKnown = objects.some(({ fields }) => fields.has(plain(name)));
      return isKnown ? schemasOf(found, definitions) : null;
    },
  };
}

function modelsOf(path: string, text: string, seen: Set<string>): Set<string> {
  for (const [, target = ""] of text.matchAll(/from "(\.{1,2}\/[^"]+)"/g)) {
    const next = resolve(dirname(path), target);
    if (!next.includes("/models/") || seen.has(next)) continue;
    seen.add(next);
    modelsOf(next, readFileSync(next, "utf8"), seen);
  }
  return seen;
}
