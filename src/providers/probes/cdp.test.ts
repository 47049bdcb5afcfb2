import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { freePort, probing, rawServer } from "../../../test/support/probing.ts";
import { startChromium } from "../../../test/support/services/chromium.ts";
import { canStart, type Service } from "../../../test/support/services/service.ts";
import { cdp } from "./cdp.ts";

const failed = (name: string, message: RegExp) => ({
  status: "down",
  failure: { class: name, message: expect.stringMatching(message) },
});

const showPage: http.RequestListener = (request, response) => {
  if (request.url === "/hangs") return;
  response.writeHead(request.url === "/missing" ? 404 : 200, { "content-type": "text/html" });
  response.end("<body><script>document.body.append('made by ' + 'a script')</script></body>");
};

async function openPages(url: string): Promise<number> {
  const listed = (await (await fetch(`${url}/json/list`)).json()) as { type: string; url: string }[];
  return listed.filter(({ type }) => type === "page").length;
}

describe.skipIf(!canStart("chromium"))("a real Chromium", () => {
  let browser: Service;
  let url: string;
  const site = http.createServer(showPage);
  let siteUrl: string;
  beforeAll(async () => {
    browser = await startChromium();
    url = `http://127.0.0.1:${browser.port}`;
    await once(site.listen(0, "127.0.0.1"), "listening");
    siteUrl = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  }, 60_000);
  afterAll(async () => {
    site.closeAllConnections();
    site.close();
    await browser.stop();
  });
  const look = (more: object = {}, options = {}) =>
    probing(cdp, { url, ...more }, { timeoutMs: 20_000, ...options });
  const pages = () => openPages(url);

  test("it says its version, at its HTTP address and at its WebSocket's", async () => {
    const seen = {
      status: "up",
      observed: { browser: expect.stringMatching(/Chrome\/\d+/), protocol: "1.3" },
    };
    expect(await look()).toMatchObject(seen);
    const version = (await (await fetch(`${url}/json/version`)).json()) as { webSocketDebuggerUrl: string };
    expect(await look({ url: version.webSocketDebuggerUrl })).toMatchObject(seen);
    const named = { url: url.replace("127.0.0.1", "b.localhost"), headers: { host: "browser.example.com" } };
    expect(await look(named)).toMatchObject(failed("status", /only addresses and localhost/));
  });

  test("a page is loaded with its scripts, painted, and closed", async () => {
    const before = await pages();
    const rendered = await look({ page: `${siteUrl}/`, contains: "made by a script" });
    expect(rendered).toMatchObject({ status: "up", observed: { pageStatus: 200 } });
    expect(rendered.observed?.pageBytes).toBeGreaterThan(100);
    expect(await look({ page: "data:text/html,<p>hello", contains: "hello" })).toMatchObject({
      status: "up",
    });
    expect(await look({ page: `${siteUrl}/`, contains: "not there" })).toMatchObject(
      failed("assertion", /not there/),
    );
    expect(await look({ page: `${siteUrl}/missing` })).toMatchObject(failed("assertion", /status 404/));
    const closed = `http://127.0.0.1:${await freePort()}/`;
    expect(await look({ page: closed })).toMatchObject(failed("assertion", /ERR_CONNECTION_REFUSED/));
    await expect.poll(pages).toBe(before);
  });

  test("a page that never loads is given up, and closed as well", async () => {
    const before = await pages();
    const asked = once(site, "request");
    const ends = new AbortController();
    const looking = look({ page: `${siteUrl}/hangs` }, { signal: ends.signal });
    await asked;
    expect(await pages()).toBe(before + 1);
    ends.abort();
    expect(await looking).toMatchObject(failed("timeout", /connected, and /));
    await expect.poll(pages).toBe(before);
  });

  test("frozen it is a timeout, killed it is refused", async () => {
    browser.freeze();
    expect(await look({}, { timeoutMs: 200 })).toMatchObject(failed("timeout", /no answer/));
    browser.thaw();
    expect(await look()).toMatchObject({ status: "up" });
    await browser.kill();
    expect(await look()).toMatchObject(failed("refused", /listens/));
  });
});

test("what is no browser, refuses us, or is silent is told apart", async () => {
  let [status, body] = [200, "{}"];
  const server = http.createServer((_, response) => response.writeHead(status).end(body));
  const sockets = new WebSocketServer({ server });
  let reply = "";
  sockets.on("connection", (socket) => socket.on("message", () => (reply === "" ? {} : socket.send(reply))));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const look = (at = url) => probing(cdp, { url: at }, { timeoutMs: 150 });
  expect(await look()).toMatchObject(failed("protocol", /no WebSocket/));
  status = 401;
  expect(await look()).toMatchObject(failed("auth", /401/));
  // The address that it calls itself by is not where we go.
  [status, body] = [200, '{"webSocketDebuggerUrl":"ws://192.0.2.1:9/devtools/browser/1"}'];
  expect(await look()).toMatchObject(failed("timeout", /no answer to Browser.getVersion/));
  // Nor is a host that stands in a path.
  body = '{"webSocketDebuggerUrl":"ws://browser//192.0.2.1:9/devtools/browser/1"}';
  expect(await look()).toMatchObject(failed("timeout", /no answer to Browser.getVersion/));
  expect(await look(`${url}//192.0.2.1:9`)).toMatchObject(failed("timeout", /to Browser.getVersion/));
  for (reply of ["null", "[]", '{"id":1,"error":null}', '{"method":"a","params":null}'])
    expect(await look()).toMatchObject(failed("protocol", /no JSON of the DevTools/));
  reply = "no JSON";
  expect(await look()).toMatchObject(failed("protocol", /no JSON/));
  reply = '{"id":1,"error":{"message":"nope"}}';
  expect(await look()).toMatchObject(failed("status", /error: nope/));
  for (const socket of sockets.clients) socket.terminate();
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
  await using silent = await rawServer(() => {});
  expect(await look(`ws://127.0.0.1:${silent.port}/`)).toMatchObject(failed("timeout", /no upgrade/));
  await silent.open(0);
});
