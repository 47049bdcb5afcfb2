import { AsyncLocalStorage } from "node:async_hooks";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { builtinModules, createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import vm from "node:vm";
import { EdgeVM } from "@edge-runtime/vm";
import { installRequestContext } from "./context.ts";
import { type Resolved, resolveEdgeModule } from "./edge-resolve.ts";
import { installNextCaches } from "./next-caches.ts";
import { asResponse, type Handler } from "./node-function.ts";
import type { LoadMessage } from "./protocol.ts";
import { type Realm, sendWebResponse, toWebRequest } from "./web-handler.ts";

type EdgeHandler = (request: Request, context: { waitUntil(promise: unknown): void }) => unknown;

// What Vercel's edge runtime offers of Node. https://vercel.com/docs/functions/runtimes/edge
const NODE_MODULES = new Set(["async_hooks", "events", "buffer", "assert", "util"]);
const METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"];
const require = createRequire(import.meta.url);
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { compile(bytes: Uint8Array): Promise<object>; Module: new (bytes: Uint8Array) => object };
};

type EdgeModules = {
  readonly message: LoadMessage;
  readonly context: vm.Context;
  readonly loaded: Map<string, Promise<vm.Module>>;
  readonly required: Map<string, { exports: unknown }>;
};

/** Loads an edge function, a bundled ES module, into a context with the web's globals and almost nothing of Node. */
export async function loadEdgeFunction(
  message: LoadMessage,
  waitUntil: (work: unknown) => void,
): Promise<Handler> {
  const edge = new EdgeVM({ codeGeneration: { strings: true, wasm: true } });
  const context = edge.context as vm.Context & Realm & Record<string, unknown>;
  const modules: EdgeModules = { message, context, loaded: new Map(), required: new Map() };
  extend(modules, context);
  const entry = await sourceModule(modules, join(message.root, message.handler));
  await entry.link((specifier, from) => resolveModule(modules, specifier, from.identifier));
  await entry.evaluate();
  const handlerOf = edgeHandlers(entry.namespace as Record<string, unknown>, context);
  return async (req, res) => {
    const handler = handlerOf(req.method ?? "GET");
    if (handler === null) return void res.writeHead(405).end();
    const answer = await handler(toWebRequest(req, context), { waitUntil });
    const passOn = answer === undefined && message.source === "edge-middleware";
    await sendWebResponse(asResponse(passOn ? middlewareNext() : answer), req, res);
  };
}

/** Middleware that returns nothing lets the request pass. */
function middlewareNext(): Response {
  return new Response(null, { headers: { "x-middleware-next": "1" } });
}

function extend(modules: EdgeModules, context: vm.Context): void {
  const { message } = modules;
  const env = { ...visibleEnv(message) };
  Object.assign(context, { process: { env }, AsyncLocalStorage, console });
  Object.defineProperty(context, "require", {
    value: (name: string) => requireInside(modules, name, join(message.root, "index.js")),
  });
  const { fetch } = context as unknown as { fetch: typeof globalThis.fetch };
  const withAssets = (input: string | URL | Request, init?: RequestInit) =>
    fetchAsset(modules, fetch, input, init);
  Object.assign(context, { fetch: withAssets });
  installRequestContext(context);
  installNextCaches(context);
}

function visibleEnv({ visible }: LoadMessage): Record<string, string | undefined> {
  if (visible === null) return process.env;
  return Object.fromEntries(
    visible.flatMap((name) => (name in process.env ? [[name, process.env[name]]] : [])),
  );
}

function edgeHandlers(
  exported: Record<string, unknown>,
  context: vm.Context,
): (method: string) => EdgeHandler | null {
  const main = exported.default;
  if (typeof main === "function") return () => main as EdgeHandler;
  const fetcher = (main as { fetch?: unknown } | undefined)?.fetch;
  if (typeof fetcher === "function") return () => fetcher.bind(main) as EdgeHandler;
  if (METHODS.some((method) => typeof exported[method] === "function")) {
    return (method) => (typeof exported[method] === "function" ? (exported[method] as EdgeHandler) : null);
  }
  const { __listeners: listeners } = context as { __listeners?: { fetch?: unknown } };
  if (listeners?.fetch) return () => (request) => dispatch(context, request);
  throw new Error("The edge function has neither a default export nor one that is named for an HTTP method.");
}

/** A service worker's `addEventListener("fetch", …)`. */
function dispatch(context: vm.Context, request: Request): unknown {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const { __listeners } = context as unknown as { __listeners: { fetch: ((event: object) => unknown)[] } };
  const event = { request, respondWith: resolve, waitUntil: (work: unknown) => void Promise.resolve(work) };
  return Promise.race([promise, Promise.resolve(__listeners.fetch[0]?.(event)).then(() => promise)]);
}

async function sourceModule(modules: EdgeModules, path: string): Promise<vm.SourceTextModule> {
  const source = await readFile(path, "utf8");
  return new vm.SourceTextModule(source, {
    context: modules.context,
    identifier: path,
    initializeImportMeta: (meta) => {
      meta.url = `file:///${relative(modules.message.root, path)}`;
    },
    importModuleDynamically: async (specifier: string) => {
      const module = await resolveModule(modules, specifier, path);
      if (module.status === "unlinked")
        await module.link((name, from) => resolveModule(modules, name, from.identifier));
      if (module.status === "linked") await module.evaluate();
      return module;
    },
  });
}

function resolveModule(modules: EdgeModules, specifier: string, from: string): Promise<vm.Module> {
  const builtin = builtinName(specifier);
  const found = builtin === null ? locate(modules, specifier, from) : null;
  const key = found?.path ?? `node:${builtin}`;
  const known = modules.loaded.get(key);
  if (known) return known;
  const module = found === null ? nodeModule(modules, key) : loadModule(modules, found);
  modules.loaded.set(key, module);
  return module;
}

async function nodeModule(modules: EdgeModules, name: string): Promise<vm.Module> {
  return synthetic(modules, name, require(name) as object);
}

async function loadModule(modules: EdgeModules, { path, format }: Resolved): Promise<vm.Module> {
  if (format === "module") return sourceModule(modules, path);
  if (format === "commonjs") return synthetic(modules, path, requireFile(modules, path) as object);
  const bytes = await readFile(path);
  const value = format === "json" ? JSON.parse(bytes.toString("utf8")) : await WebAssembly.compile(bytes);
  return synthetic(modules, path, value as object, false);
}

function synthetic({ context }: EdgeModules, identifier: string, values: object, named = true): vm.Module {
  const exported: Record<string, unknown> = { ...(named ? values : {}), default: defaultOf(values) };
  return new vm.SyntheticModule(
    Object.keys(exported),
    function (this: vm.SyntheticModule) {
      for (const [name, value] of Object.entries(exported)) this.setExport(name, value);
    },
    { context, identifier },
  );
}

function builtinName(specifier: string): string | null {
  const name = specifier.replace(/^node:/, "");
  if (NODE_MODULES.has(name)) return name;
  if (!specifier.startsWith("node:") && !builtinModules.includes(name)) return null;
  throw new Error(
    `An edge function cannot import ${specifier}: the edge runtime offers ${[...NODE_MODULES].join(", ")}.`,
  );
}

/** The default export of a compiled ES module is its `default`, that of any other module is the module. */
function defaultOf(values: object): unknown {
  return "__esModule" in values && "default" in values ? values.default : values;
}

/** A file of the function, or one that its configuration names as an asset. */
function locate({ message }: EdgeModules, specifier: string, from: string): Resolved {
  const name = specifier.replace(/\?module$/, "");
  const bare = name.replace(/^\/?wasm\/|\.wasm$/g, "");
  const asset = message.assets.find((one) => one.name === name || one.name === bare);
  return resolveEdgeModule(message.root, asset ? `/${asset.path}` : specifier, from);
}

/** Bundles of Next.js call `require` for WebAssembly and for the modules of Node that the edge runtime offers. */
function requireInside(modules: EdgeModules, name: string, from: string): unknown {
  const builtin = builtinName(name);
  if (builtin !== null) return require(`node:${builtin}`);
  const { path, format } = locate(modules, name, from);
  if (format === "wasm") return new WebAssembly.Module(readFileSync(path));
  return format === "json" ? JSON.parse(readFileSync(path, "utf8")) : requireFile(modules, path);
}

/** A CommonJS module, evaluated once, with a `require` of its own place. */
function requireFile(modules: EdgeModules, path: string): unknown {
  const known = modules.required.get(path);
  if (known) return known.exports;
  const module: { exports: unknown } = { exports: {} };
  modules.required.set(path, module);
  const parameters = ["module", "exports", "require", "__filename", "__dirname"];
  const options = { parsingContext: modules.context, filename: path };
  const run = vm.compileFunction(readFileSync(path, "utf8"), parameters, options);
  run(module, module.exports, (name: string) => requireInside(modules, name, path), path, dirname(path));
  return module.exports;
}

/** `fetch("blob:name")` is how bundles read their assets. */
async function fetchAsset(
  { message, context }: EdgeModules,
  fetch: typeof globalThis.fetch,
  input: string | URL | Request,
  init?: RequestInit,
): Promise<Response> {
  const url = typeof input === "object" && "url" in input ? input.url : String(input);
  const asset = url.startsWith("blob:")
    ? message.assets.find(({ name }) => name === url.slice(5))
    : undefined;
  if (!asset) return fetch(input, init);
  const bytes = await readFile(join(message.root, asset.path));
  const { Response: InContext } = context as unknown as { Response: typeof Response };
  return new InContext(bytes);
}
