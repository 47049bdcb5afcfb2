import { expect, test } from "vitest";
import { EDGE, open, startOutput } from "../../../test/support/build-output.ts";

// (module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))
const ADD_WASM = Buffer.from(
  "0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b",
  "hex",
);

const edge = (source: string, config: object = {}, files: Record<string, string | Buffer> = {}) => ({
  files: { "index.js": source, ...files },
  config: { ...EDGE, ...config },
});

test("an edge function gets a Request and streams its Response", async () => {
  const source = `let go; export default async (request, context) => {
    if (request.url.endsWith("?go")) { go(); return new Response("went"); }
    const gone = new Promise((done) => { go = done; });
    const encoder = new TextEncoder();
    const body = new ReadableStream({ async start(controller) {
      controller.enqueue(encoder.encode("first "));
      await gone;
      controller.enqueue(encoder.encode("second"));
      controller.close();
    } });
    return new Response(body, { status: 201, headers: { "x-a": "1" } });
  };`;
  await using server = await startOutput({ functions: { edge: edge(source) } });
  const answer = await open(server.socket, "/edge");
  expect([answer.statusCode, answer.headers["x-a"]]).toEqual([201, "1"]);
  const chunks = answer.iterator();
  expect(String((await chunks.next()).value)).toBe("first ");
  expect((await server.ask("/edge?go")).body).toBe("went");
  expect(String((await chunks.next()).value)).toBe("second");
});

test("an edge function has the web's globals, its own variables, and nothing of Node but what is listed", async () => {
  const source = `import { AsyncLocalStorage } from "node:async_hooks"; import { Buffer } from "node:buffer";
  export default async function (request) {
    const answer = { runtime: EdgeRuntime, env: process.env, version: typeof process.version,
      bytes: Buffer.from("a").toString("hex"), same: request instanceof Request, body: await request.text(),
      als: new AsyncLocalStorage().run(7, () => 7), isArray: [] instanceof Array,
      encoded: new TextEncoder().encode("x") instanceof Uint8Array };
    return Response.json(answer);
  }`;
  const config = { envVarsInUse: ["SEEN"], environment: { SEEN: "1", HIDDEN: "2" } };
  await using server = await startOutput({ functions: { edge: edge(source, config) } }, { OTHER: "3" });
  const answer = JSON.parse((await server.ask("/edge", { body: "sent" })).body);
  expect(answer).toEqual({
    ...{
      runtime: "edge-runtime",
      env: { SEEN: "1" },
      version: "undefined",
      bytes: "61",
    },
    ...{ same: true, body: "sent", als: 7, isArray: true, encoded: true },
  });
});

test("modules of Node that the edge has not, and files outside of the function, are refused", async () => {
  const files = edge(`import fs from "node:fs"; export default () => new Response("read");`);
  const outside = edge(`import x from "../../../config.json"; export default () => new Response("read");`);
  await using server = await startOutput({ functions: { files, outside } });
  for (const path of ["/files", "/outside"]) {
    const answer = await server.ask(path);
    expect([answer.status, answer.headers["x-vercel-error"]]).toEqual([
      500,
      "EDGE_FUNCTION_INVOCATION_FAILED",
    ]);
  }
  await server.line(({ message }) => message.includes("cannot import node:fs"));
  await server.line(({ message }) => message.includes("outside of the edge function"));
});

test("packages are found as bundlers for the edge find them, in either form", async () => {
  const source = `import { which } from "@scope/pkg"; import sub from "@scope/pkg/sub"; import old from "old";
  import { helper } from "./lib/helper";
  export default () => new Response([which, sub, old.name, helper].join(" "));`;
  const exports = { ".": { node: "./node.js", "edge-light": "./edge.mjs" }, "./*": { import: "./lib/*.js" } };
  const files = {
    "package.json": '{"type":"commonjs"}',
    "lib/helper.js": "export const helper = 'helper';",
    "node_modules/@scope/pkg/package.json": JSON.stringify({ type: "module", exports }),
    "node_modules/@scope/pkg/edge.mjs": "export const which = 'edge';",
    "node_modules/@scope/pkg/lib/sub.js": "export default 'sub';",
    "node_modules/old/package.json": '{"main":"main"}',
    "node_modules/old/main.js": "exports.name = require('./part').name;",
    "node_modules/old/part.js": "exports.name = 'old';",
  };
  await using server = await startOutput({ functions: { edge: edge(source, {}, files) } });
  expect((await server.ask("/edge")).body).toBe("edge sub old helper");
});

test("methods as exports, WebAssembly, assets, other modules and waitUntil", async () => {
  const source = `import add from "./add.wasm?module"; import { name } from "./lib.js";
  export async function GET(request, context) {
    const { exports } = await WebAssembly.instantiate(add);
    const text = await (await fetch("blob:text")).text();
    context.waitUntil(Promise.resolve().then(() => console.log("done later")));
    return new Response([exports.add(2, 3), name, text].join(" "));
  }`;
  const files = { "add.wasm": ADD_WASM, "lib.js": "export const name = 'lib';", "text.txt": "asset" };
  const config = { assets: [{ name: "text", path: "text.txt" }] };
  await using server = await startOutput({ functions: { edge: edge(source, config, files) } });
  expect((await server.ask("/edge")).body).toBe("5 lib asset");
  expect((await server.ask("/edge", { method: "PUT" })).status).toBe(405);
  const line = await server.line(({ message }) => message === "done later");
  expect(line).toMatchObject({ source: "edge-function", level: "info", path: "/edge" });
});

test("an edge function that throws is a 500, one that hangs a 504", async () => {
  const source = `export default ({ url }) => {
    if (url.includes("throw")) throw new Error("edge failed");
    return url.includes("hang") ? new Promise(() => {}) : new Response("fine");
  };`;
  await using server = await startOutput({ functions: { edge: edge(source, { maxDuration: 1 }) } });
  expect((await server.ask("/edge?throw")).headers["x-vercel-error"]).toBe("EDGE_FUNCTION_INVOCATION_FAILED");
  expect((await server.ask("/edge?hang")).headers["x-vercel-error"]).toBe("EDGE_FUNCTION_INVOCATION_TIMEOUT");
  expect((await server.ask("/edge")).body).toBe("fine");
});
