import { expect, test } from "vitest";
import { probing, rawServer } from "../../../test/support/probing.ts";
import { rabbitmqQueue } from "./rabbitmq-queue.ts";

// Asked of a real queue in rabbitmq.test.ts, where a node runs.

test("says what is asked without the password, and takes no limit that it cannot hold", () => {
  const given = { url: "https://u:secret@mq.internal/base", queue: "a/b" };
  expect(rabbitmqQueue.subject(rabbitmqQueue.settings.parse(given))).toBe(
    "rabbitmq-queue://mq.internal:443/a/b",
  );
  expect(rabbitmqQueue.settings.safeParse({ ...given, maxFailedShare: 1 }).success).toBe(false);
});

test("what is no management API: protocol", async () => {
  await using other = await rawServer((socket) => void socket.write("220 mail.example.com ESMTP\r\n\r\n"));
  await using page = await rawServer((socket) => {
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"));
  });
  for (const { port } of [other, page]) {
    const outcome = await probing(rabbitmqQueue, { host: "127.0.0.1", port, queue: "a" });
    expect(outcome.failure?.class).toBe("protocol");
  }
  await other.open(0);
});
