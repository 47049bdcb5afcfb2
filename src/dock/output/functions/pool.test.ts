import { expect, test } from "vitest";
import { open } from "../../../../test/support/build-output.ts";
import { type MovedOutput, serveMoved } from "../../../../test/support/moved-output.ts";
import { isAlive } from "../../../foundation/process.ts";

const WHO = `module.exports = (req, res) => res.end(String(process.pid));`;
/** Says its process at once, and answers until its client goes away. */
const HOLD = {
  files: { "index.js": `module.exports = (req, res) => { res.write(String(process.pid)); };` },
  config: { supportsCancellation: true },
};

const pidOf = async (server: MovedOutput, path: string) => Number((await server.ask(path)).body);

async function hold(server: MovedOutput, path: string) {
  const answer = await open(server.socket, path);
  const { value } = await answer.iterator({ destroyOnReturn: false }).next();
  return { pid: Number(value), leave: () => answer.destroy() };
}

test("a process that nobody asked for five minutes ends; the next request gets a new one", async () => {
  await using server = await serveMoved({ functions: { "api/a": WHO, "api/b": WHO } });
  const [a, b] = [await pidOf(server, "/api/a"), await pidOf(server, "/api/b")];
  server.pass(200);
  expect(await pidOf(server, "/api/b")).toBe(b);
  server.pass(101);
  await untilGone(a);
  expect(await pidOf(server, "/api/b")).toBe(b);
  expect(await pidOf(server, "/api/a")).not.toBe(a);
});

test("a process that answers a request, or does work that it handed on, is not idle", async () => {
  const source = `module.exports = (req, res) => {
    const { waitUntil } = globalThis[Symbol.for("@vercel/request-context")].get();
    if (req.url.endsWith("work")) waitUntil(new Promise(() => {}));
    res.end(String(process.pid));
  };`;
  await using server = await serveMoved({
    functions: { "api/hold": HOLD, "api/work": source, "api/idle": WHO },
  });
  const held = await hold(server, "/api/hold");
  const working = await pidOf(server, "/api/work?work");
  const idle = await pidOf(server, "/api/idle");
  server.pass(600);
  await untilGone(idle);
  expect(await pidOf(server, "/api/work")).toBe(working);
  const again = await hold(server, "/api/hold");
  expect(again.pid).toBe(held.pid);
  for (const one of [held, again]) one.leave();
});

test("at the limit the process that was idle for longest makes room", async () => {
  await using server = await serveMoved({ functions: { a: WHO, b: WHO, c: WHO } }, { limit: 2 });
  const [a, b] = [await pidOf(server, "/a"), await pidOf(server, "/b")];
  const c = await pidOf(server, "/c");
  await untilGone(a);
  expect([await pidOf(server, "/b"), await pidOf(server, "/c")]).toEqual([b, c]);
});

test("with all at work there are twice as many at most, and then a request is refused", async () => {
  await using server = await serveMoved({ functions: { a: HOLD, b: HOLD, c: WHO } }, { limit: 1 });
  const held = [await hold(server, "/a"), await hold(server, "/b")];
  const refused = await server.ask("/c");
  expect([refused.status, refused.headers["x-vercel-error"]]).toEqual([503, "FUNCTION_THROTTLED"]);
  for (const one of held) one.leave();
});

/** Of a process that ends by itself only its parent is told. */
async function untilGone(pid: number): Promise<void> {
  while (isAlive(pid)) await new Promise((done) => setTimeout(done, 10));
}
