import { expect, test } from "vitest";
import { type OutputProcess, open, startOutput } from "../../../test/support/build-output.ts";

const WEB = `
export function GET(request) {
  const headers = [["set-cookie", "a=1"], ["set-cookie", "b=2"]];
  return new Response(request.method + " " + new URL(request.url).search, { headers });
}
export async function POST(request) { return new Response(request.body, { status: 201 }); }`;

const shapes: readonly (readonly [string, string, string])[] = [
  ["a listener in CommonJS", "index.js", "module.exports = (req, res) => res.end('called ' + req.url);"],
  ["a listener as default export", "index.mjs", "export default (req, res) => res.end('called ' + req.url);"],
  [
    "nested defaults",
    "index.js",
    "exports.default = { default: { default: (req, res) => res.end('called ' + req.url) } };",
  ],
  [
    "an HTTP method",
    "index.mjs",
    "export const GET = (q) => new Response('called ' + new URL(q.url).pathname);",
  ],
  [
    "an object with fetch",
    "index.mjs",
    "export default { fetch: (q) => new Response('called ' + new URL(q.url).pathname) };",
  ],
  [
    "a module that starts a server",
    "index.js",
    "require('http').createServer((req, res) => res.end('called ' + req.url)).listen(3000);",
  ],
  [
    "a module that starts a server later and waits for it",
    "index.mjs",
    `import http from "node:http"; import { once } from "node:events";
     await new Promise((done) => setTimeout(done, 20));
     const server = http.createServer((req, res) => res.end("called " + req.url)).listen(process.env.PORT ?? 3000);
     await once(server, "listening");
     if (server.address().port !== 3000) throw new Error("no address");`,
  ],
  [
    "an app that is a function with listen",
    "index.js",
    `const app = (req, res) => res.end("called " + req.url + (res.send ? " with helpers" : ""));
     app.listen = () => {}; module.exports = app;`,
  ],
];

test.each(shapes)("%s is called", async (_name, handler, source) => {
  const shape = { files: { [handler]: source }, config: { handler } };
  await using server = await startOutput({ functions: { "api/shape": shape } });
  expect(await server.ask("/api/shape")).toMatchObject({ status: 200, body: "called /api/shape" });
});

test("web handlers get a Request and stream their Response; a method that is not exported is a 405", async () => {
  await using server = await startOutput({
    functions: { "api/web": { files: { "index.mjs": WEB }, config: { handler: "index.mjs" } } },
  });
  const got = await server.ask("/api/web?a=1");
  expect(got).toMatchObject({ status: 200, body: "GET ?a=1" });
  expect(got.headers["set-cookie"]).toEqual(["a=1", "b=2"]);
  expect(await server.ask("/api/web", { body: "x".repeat(300_000) })).toMatchObject({
    status: 201,
    body: "x".repeat(300_000),
  });
  expect(await server.ask("/api/web", { method: "DELETE" })).toMatchObject({ status: 405, body: "" });
});

test("an answer is streamed: its beginning arrives while the function still works on its end", async () => {
  const source = `let go; module.exports = (req, res) => {
    if (req.url.endsWith("?go")) { go(); return res.end("went"); }
    res.write("first "); new Promise((done) => { go = done; }).then(() => res.end("second"));
  };`;
  await using server = await startOutput({ functions: { "api/stream": source } });
  const answer = await open(server.socket, "/api/stream");
  const chunks = answer.iterator();
  expect(String((await chunks.next()).value)).toBe("first ");
  expect((await server.ask("/api/stream?go")).body).toBe("went");
  expect(String((await chunks.next()).value)).toBe("second");
});

const HELPERS = `module.exports = async (req, res) => {
  const { pathname } = new URL(req.url, "http://x");
  switch (req.query.do) {
    case "status": return res.status(418).send("tea");
    case "json": return res.json({ a: [1, null, "ä"] });
    case "number": return res.send(7);
    case "null": return res.send(null);
    case "buffer": return res.send(Buffer.from("bytes"));
    case "empty": return res.status(204).send("gone");
    case "typed": res.setHeader("content-type", "text/css; a=b"); return res.send("p{}");
    case "redirect": return res.redirect("/there");
    case "moved": return res.redirect(308, "/there");
    case "wrong": return res.redirect(308);
    case "stream": {
      let text = ""; for await (const part of req) text += part;
      return res.send("stream " + text + " " + JSON.stringify(req.body));
    }
  }
  const body = Buffer.isBuffer(req.body) ? "bytes " + req.body : req.body ?? "undefined";
  res.json({ query: req.query, cookies: req.cookies, body });
};`;

test("helpers answer as @vercel/node's do", async () => {
  await using server = await startOutput({ functions: { "api/h": HELPERS } });
  const say = (what: string, method = "GET") => server.ask(`/api/h?do=${what}`, { method });
  expect(await say("status")).toMatchObject({
    status: 418,
    body: "tea",
    headers: { "content-type": "text/html; charset=utf-8" },
  });
  expect(await say("json")).toMatchObject({
    body: '{"a":[1,null,"ä"]}',
    headers: {
      "content-type": "application/json; charset=utf-8",
      "content-length": "19",
      etag: 'W/"13-2rFOgWmPvKVIy8zwrt4VcBVSWHw"',
    },
  });
  expect(await say("number")).toMatchObject({
    body: "7",
    headers: { "content-type": "application/json; charset=utf-8" },
  });
  expect(await say("null")).toMatchObject({
    body: "",
    headers: { "content-length": "0", etag: 'W/"0-2jmj7l5rSw0yVb/vlWAYkK/YBwk"' },
  });
  expect(await say("buffer")).toMatchObject({
    body: "bytes",
    headers: { "content-type": "application/octet-stream" },
  });
  const empty = await say("empty");
  expect([empty.status, empty.body, empty.headers["content-type"]]).toEqual([204, "", undefined]);
  expect((await say("typed")).headers["content-type"]).toBe("text/css; a=b; charset=utf-8");
  expect(await say("redirect")).toMatchObject({ status: 307, headers: { location: "/there" } });
  expect(await say("moved")).toMatchObject({ status: 308, headers: { location: "/there" } });
  expect((await say("wrong")).headers["x-vercel-error"]).toBe("FUNCTION_INVOCATION_FAILED");
  const head = await say("json", "HEAD");
  expect([head.body, head.headers["content-length"]]).toEqual(["", "19"]);
});

test("query, cookies and body are read as @vercel/node reads them", async () => {
  await using server = await startOutput({ functions: { "api/h": HELPERS } });
  const read = async (type: string | null, body: string, cookie = "") => {
    const headers = { ...(type === null ? {} : { "content-type": type }), cookie };
    const answer = await server.ask("/api/h?a=1&b=2&a=3", { method: "POST", headers, body });
    return answer.status === 200 ? JSON.parse(answer.body) : answer.status;
  };
  expect(await read("application/json; charset=utf-8", '{"x":1}', 'a=1; b="2"; a=3; c=%7B')).toEqual({
    query: { a: ["1", "3"], b: "2" },
    cookies: { a: "1", b: "2", c: "{" },
    body: { x: 1 },
  });
  expect((await read("application/json", "")).body).toEqual({});
  expect(await read("application/json", "{")).toBe(400);
  expect((await read("application/x-www-form-urlencoded", "a=1&b=%20")).body).toEqual({ a: "1", b: " " });
  expect((await read("text/plain", "words")).body).toBe("words");
  expect((await read("application/octet-stream", "raw")).body).toBe("bytes raw");
  expect((await read("multipart/form-data; boundary=x", "part")).body).toBe("undefined");
  const streamed = await server.ask("/api/h?do=stream", {
    headers: { "content-type": "text/plain" },
    body: "words",
  });
  expect(streamed.body).toBe('stream words "words"');
});

const failing = `module.exports = (req, res) => {
  if (req.url.includes("throw")) throw new Error("thrown on purpose");
  if (req.url.includes("reject")) return Promise.reject(new Error("rejected on purpose"));
  if (req.url.includes("later")) return void setImmediate(() => { throw new Error("nobody caught it"); });
  if (req.url.includes("exit")) process.exit(3);
  if (req.url.includes("hang")) return;
  if (req.url.includes("spin")) for (;;);
  if (req.url.includes("memory")) { const all = []; for (;;) all.push(new Array(100_000).fill(Math.PI)); }
  res.end(String(process.pid));
};`;

async function pidOf(server: OutputProcess, path: string): Promise<string> {
  const { status, body } = await server.ask(path);
  expect(status).toBe(200);
  return body;
}

test.each(["throw", "reject"])("a handler that fails (%s) is a 500, and its process goes on", async (how) => {
  await using server = await startOutput({ functions: { "api/bad": failing } });
  const pid = await pidOf(server, "/api/bad");
  const answer = await server.ask(`/api/bad?${how}`);
  expect([answer.status, answer.headers["x-vercel-error"]]).toEqual([500, "FUNCTION_INVOCATION_FAILED"]);
  expect(answer.body).toMatch(/^A server error has occurred\n\nFUNCTION_INVOCATION_FAILED\n\niad1::/);
  expect(await pidOf(server, "/api/bad")).toBe(pid);
  const line = await server.line(({ message }) => message.includes("on purpose"));
  expect(line).toMatchObject({ level: "error", source: "serverless", path: "/api/bad", method: "GET" });
  expect(line.requestId).toBe(answer.headers["x-vercel-id"]);
});

test.each([
  "later",
  "exit",
])("a function that crashes (%s) has a fresh process next, and no other one is touched", async (how) => {
  await using server = await startOutput({ functions: { "api/bad": failing, "api/good": failing } });
  const [bad, good] = [await pidOf(server, "/api/bad"), await pidOf(server, "/api/good")];
  const answer = await server.ask(`/api/bad?${how}`);
  expect([answer.status, answer.headers["x-vercel-error"]]).toEqual([500, "FUNCTION_INVOCATION_FAILED"]);
  expect(await pidOf(server, "/api/bad")).not.toBe(bad);
  expect(await pidOf(server, "/api/good")).toBe(good);
});

test.each(["hang", "spin"])("a function that does not answer in maxDuration (%s) is a 504", async (how) => {
  const slow = { files: { "index.js": failing }, config: { maxDuration: 1 } };
  await using server = await startOutput({ functions: { "api/slow": slow } });
  const pid = await pidOf(server, "/api/slow");
  const answer = await server.ask(`/api/slow?${how}`, { headers: { accept: "application/json" } });
  expect([answer.status, answer.headers["x-vercel-error"]]).toEqual([504, "FUNCTION_INVOCATION_TIMEOUT"]);
  expect(JSON.parse(answer.body).error).toEqual({
    code: "504",
    message: "An error occurred with your deployment",
  });
  expect(await pidOf(server, "/api/slow")).not.toBe(pid);
});

test("memory limits a function's heap", async () => {
  const small = { files: { "index.js": failing }, config: { memory: 64 } };
  await using server = await startOutput({ functions: { "api/small": small } });
  const pid = await pidOf(server, "/api/small");
  expect((await server.ask("/api/small?memory")).status).toBe(500);
  expect(await pidOf(server, "/api/small")).not.toBe(pid);
});

test("a Lambda handler gets API Gateway's event and answers with a promise or the callback", async () => {
  const config = { awsLambdaHandler: "api/index.handler" };
  const promise = `exports.handler = async (event) => ({
    statusCode: 201, headers: { "x-a": 1 }, multiValueHeaders: { "set-cookie": ["a=1", "b=2"] },
    body: JSON.stringify({ ...event, headers: event.headers["x-sent"], multiValueHeaders: null }),
  });`;
  const callback = `exports.handler = (event, context, done) => void setImmediate(() => done(null,
    { statusCode: 200, body: event.body, encoding: "base64" }));`;
  const broken = `exports.handler = async () => ({ body: "no status" });`;
  const lambda = (source: string) => ({ files: { "index.js": source }, config });
  await using server = await startOutput({
    functions: { "api/p": lambda(promise), "api/c": lambda(callback), "api/b": lambda(broken) },
  });
  const answer = await server.ask("/api/p?a=1&a=2&b=%20", { body: "hi", headers: { "x-sent": "yes" } });
  expect([answer.status, answer.headers["x-a"], answer.headers["set-cookie"]]).toEqual([
    201,
    "1",
    ["a=1", "b=2"],
  ]);
  expect(JSON.parse(answer.body)).toEqual({
    ...{ resource: "/{proxy+}", path: "/api/p", httpMethod: "POST", headers: "yes", multiValueHeaders: null },
    queryStringParameters: { a: "2", b: " " },
    multiValueQueryStringParameters: { a: ["1", "2"], b: [" "] },
    ...{ body: Buffer.from("hi").toString("base64"), isBase64Encoded: true },
  });
  expect((await server.ask("/api/c", { body: "echo" })).body).toBe("echo");
  const failed = await server.ask("/api/b");
  expect([failed.status, failed.headers["x-vercel-error"]]).toEqual([500, "FUNCTION_INVOCATION_FAILED"]);
});
