import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "../foundation/clock.ts";
import { silentLog } from "../foundation/log.ts";
import { connectControlPlane } from "./control-plane.ts";

let server: http.Server;
beforeAll(async () => {
  server = http.createServer((_req, res) => {
    const checks = ["command", "http", "docker"].map((type) => ({ id: `chk_${type}`, type, settings: {} }));
    res.end(JSON.stringify({ location: "fra", checks }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(() => void server.close());

it("an agent runs no programs of its machine, whatever it is told, and reaches what its operator allows", async () => {
  const { port } = server.address() as AddressInfo;
  const deps = { clock: systemClock, log: silentLog };
  const address = { url: `http://127.0.0.1:${port}/`, token: "sbp_x" };
  const { checks } = await connectControlPlane(deps, address, ["10.0.0.0/8"]).work();
  expect(checks).toMatchObject([{ id: "chk_http", network: { allowNetworks: ["10.0.0.0/8"] } }]);
});
