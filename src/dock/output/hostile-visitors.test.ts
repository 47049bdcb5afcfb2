import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { startOutput } from "../../../test/support/build-output.ts";

/** What a visitor may try who knows how the platform works. */

test("a condition on a header of the platform does not believe a visitor", async () => {
  const forged = { src: "/", has: [{ type: "header", key: "x-vercel-ip-country", value: "DE" }] };
  await using server = await startOutput({
    config: { routes: [{ ...forged, dest: "/inside.html" }, { handle: "filesystem" }] },
    files: { "index.html": "outside", "inside.html": "inside" },
  });
  const answer = await server.ask("/", { headers: { "x-vercel-ip-country": "DE" } });
  expect(answer).toMatchObject({ status: 200, body: "outside" });
});
