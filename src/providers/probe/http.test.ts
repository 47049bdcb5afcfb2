import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { systemClock } from "../../foundation/clock.ts";
import { createHttpProbe } from "./http.ts";

const probe = createHttpProbe({ clock: systemClock });

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
  const result = await probe(`http://shop.localhost:${app.port}/healthz`, { timeoutMs: 5_000 });
  expect(result).toMatchObject({ ok: true, status: 503, deploymentHeader: "dpl_1" });
});

test("a name under .localhost is this machine, and the server sees the name", async () => {
  const hosts: (string | undefined)[] = [];
  using app = await serve((request, response) => {
    hosts.push(request.headers.host);
    response.end();
  });
  await probe(`http://shop-staging.localhost:${app.port}/`, { timeoutMs: 5_000 });
  expect(hosts).toEqual([`shop-staging.localhost:${app.port}`]);
});

test("every probe opens a connection of its own and follows no redirect", async () => {
  const ports: (number | undefined)[] = [];
  using app = await serve((request, response) => {
    ports.push(request.socket.remotePort);
    response.writeHead(307, { location: "/elsewhere" }).end();
  });
  const results = [
    await probe(`http://127.0.0.1:${app.port}/`, { timeoutMs: 5_000 }),
    await probe(`http://127.0.0.1:${app.port}/`, { timeoutMs: 5_000 }),
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
  expect(await probe(`http://127.0.0.1:${app.port}/`, { timeoutMs: 20_000 })).toMatchObject({
    ok: true,
    status: 200,
  });
});

test("no answer says why: refused, or too late", async () => {
  const app = await serve(() => {});
  const late = await probe(`http://127.0.0.1:${app.port}/`, { timeoutMs: 100 });
  app.close();
  const refused = await probe(`http://127.0.0.1:${app.port}/`, { timeoutMs: 5_000 });
  expect(late).toMatchObject({ ok: false, status: null, error: "no answer within 100 ms" });
  expect(refused).toMatchObject({ ok: false, error: "the connection was refused" });
});
