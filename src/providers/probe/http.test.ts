import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { allowedTo } from "../../../test/support/allowed-networks.ts";
import { systemClock } from "../../foundation/clock.ts";
import { createStatusPage } from "../status-page/statuspage.ts";
import { createProbe } from "./http.ts";

const probe = createProbe({ clock: systemClock });
const get = (url: string, timeoutMs = 5_000) => ({ type: "http", url, timeoutMs }) as const;

async function serve(listener: RequestListener) {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { port, close, [Symbol.dispose]: close };
}

test("an answer is ok whatever its status, and says who gave it", async () => {
  using app = await serve((request, response) => {
    response.writeHead(503, { "x-signalbox-deployment": "dpl_1" }).end(request.headers.host);
  });
  const result = await probe(get(`http://shop.localhost:${app.port}/healthz`));
  expect(result).toMatchObject({ ok: true, status: 503, deploymentHeader: "dpl_1" });
});

test("a name under .localhost is this machine, and the server sees the name", async () => {
  const hosts: (string | undefined)[] = [];
  using app = await serve((request, response) => {
    hosts.push(request.headers.host);
    response.end();
  });
  await probe(get(`http://shop-staging.localhost:${app.port}/`));
  expect(hosts).toEqual([`shop-staging.localhost:${app.port}`]);
});

test("every probe opens a connection of its own and follows no redirect", async () => {
  const ports: (number | undefined)[] = [];
  using app = await serve((request, response) => {
    ports.push(request.socket.remotePort);
    response.writeHead(307, { location: "/elsewhere" }).end();
  });
  const results = [
    await probe(get(`http://127.0.0.1:${app.port}/`)),
    await probe(get(`http://127.0.0.1:${app.port}/`)),
  ];
  expect(results.map((result) => result.status)).toEqual([307, 307]);
  expect(new Set(ports).size).toBe(2);
});

test("an endless body is not read to its end", async () => {
  using app = await serve((_request, response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
    };
    response.on("drain", more);
    more();
  });
  expect(await probe(get(`http://127.0.0.1:${app.port}/`, 20_000))).toMatchObject({
    ok: true,
    status: 200,
  });
});

test("no answer says why: refused, or too late", async () => {
  const app = await serve(() => {});
  const late = await probe(get(`http://127.0.0.1:${app.port}/`, 100));
  app.close();
  const refused = await probe(get(`http://127.0.0.1:${app.port}/`));
  expect(late).toMatchObject({ ok: false, status: null, error: "no answer within 100 ms" });
  expect(refused).toMatchObject({ ok: false, error: "the connection was refused" });
});

test("a body that lacks its text is no good answer, and says what it lacks", async () => {
  using app = await serve((_request, response) => response.end("<h1>Shop</h1>"));
  const url = `http://127.0.0.1:${app.port}/`;
  expect(await probe({ ...get(url), contains: "Shop" })).toMatchObject({ ok: true, status: 200 });
  expect(await probe({ ...get(url), contains: "Cart" })).toMatchObject({
    ok: false,
    status: 200,
    error: 'status 200, and the body does not contain "Cart"',
  });
});

test("a tcp probe asks only that the connection is taken", async () => {
  const app = await serve(() => {});
  const url = `http://shop.localhost:${app.port}/`;
  expect(await probe({ type: "tcp", url, timeoutMs: 5_000 })).toMatchObject({ ok: true, status: null });
  app.close();
  expect(await probe({ type: "tcp", url, timeoutMs: 5_000 })).toMatchObject({
    ok: false,
    error: "the connection was refused",
  });
});

test("a websocket probe asks for the upgrade at its path; any other answer is its error", async () => {
  const app = createServer((_request, response) => response.writeHead(404).end()).listen(0, "127.0.0.1");
  await once(app, "listening");
  const asked: (string | undefined)[] = [];
  app.on("upgrade", (request, socket) => {
    asked.push(request.url, request.headers.host, request.headers["sec-websocket-version"]);
    if (request.url === "/live") {
      socket.end("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    } else {
      socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
  });
  const { port } = app.address() as AddressInfo;
  const open = (path: string) =>
    probe({ type: "websocket", url: `http://shop.localhost:${port}${path}`, timeoutMs: 5_000 });
  expect(await open("/live")).toMatchObject({ ok: true, status: null });
  expect(asked).toEqual(["/live", `shop.localhost:${port}`, "13"]);
  expect(await open("/other")).toMatchObject({ ok: false, error: "no WebSocket but status 404" });
  app.close();
});

test("a websocket that is never answered is given up at its timeout", async () => {
  const app = createServer(() => {}).listen(0, "127.0.0.1");
  await once(app, "listening");
  app.on("upgrade", () => {});
  const { port } = app.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/`;
  expect(await probe({ type: "websocket", url, timeoutMs: 100 })).toMatchObject({
    ok: false,
    error: "no answer within 100 ms",
  });
  app.closeAllConnections();
  app.close();
});

test("a user's address, a status page too, is asked only where that user's project may", async () => {
  let requests = 0;
  using app = await serve((_request, response) => {
    requests++;
    response.end('{"status":{"indicator":"minor"}}');
  });
  const networksOf = allowedTo({ prj_shop: ["127.0.0.0/8"] });
  const guarded = createProbe({ clock: systemClock, networksOf });
  const page = createStatusPage({ networksOf });
  const url = `http://127.0.0.1:${app.port}/`;
  const { signal } = new AbortController();
  for (const type of ["http", "tcp", "websocket"] as const) {
    const refused = await guarded({ ...get(url), type, guardedFor: "prj_blog" });
    expect(refused).toMatchObject({ ok: false, error: expect.stringContaining("signalbox network allow") });
  }
  expect(await page({ projectId: "prj_blog", url }, signal)).toBeNull();
  expect(requests).toBe(0);
  expect(await guarded({ ...get(url), guardedFor: "prj_shop" })).toMatchObject({ ok: true, status: 200 });
  expect(await page({ projectId: "prj_shop", url }, signal)).toBe("minor");
});

test("that it cannot be read what a project may reach is nobody's outage", async () => {
  const networksOf = () => Promise.reject(new Error("our database is away"));
  const asked = { ...get("http://127.0.0.1:1/"), guardedFor: "prj_shop" };
  await expect(createProbe({ clock: systemClock, networksOf })(asked)).rejects.toThrow(
    "our database is away",
  );
});
