import { createServer } from "node:net";
import { expect, inject, test } from "vitest";
import { awaitDatabase } from "./await-database.ts";
import { type Clock, systemClock } from "./clock.ts";

test("a database that comes later is waited for; one that refuses us is not", async () => {
  const url = new URL(inject("databaseUrl"));
  await awaitDatabase({ clock: systemClock }, url.href);
  url.password = "wrong";
  await expect(awaitDatabase({ clock: systemClock }, url.href)).rejects.toThrow(
    "password authentication failed",
  );
});

test("after a minute of nobody there it gives up with a sentence", async () => {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
  let now = 0;
  let tries = 0;
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => now,
    sleep: async () => {
      tries++;
      now += 30_000;
    },
  };
  await expect(awaitDatabase({ clock }, `postgres://x:y@127.0.0.1:${port}/z`)).rejects.toMatchObject({
    code: "unavailable",
    hint: expect.stringContaining("DATABASE_URL"),
  });
  expect(tries).toBeGreaterThan(1);
});
