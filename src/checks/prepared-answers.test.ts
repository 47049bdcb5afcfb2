import { gunzipSync } from "node:zlib";
import { expect, it, test } from "vitest";
import { jsonAnswer } from "../health/index.ts";
import { acceptsGzip, prepareAnswers } from "./prepared-answers.ts";

const LONG = { services: "x".repeat(5_000) };

test.each([
  ["gzip, deflate, br, zstd", true],
  ["br;q=1, GZIP;q=0.5", true],
  ["gzip;q=0", false],
  ["gzip; q=0.00, deflate", false],
  ["identity", false],
  ["*", false],
  ["", false],
  [undefined, false],
])("%s is an answer to whether gzip is understood", (header, expected) => {
  expect(acceptsGzip(header)).toBe(expected);
});

it("answers plainly until the compressed answer is there, and with that afterwards", async () => {
  const answers = prepareAnswers();
  const ask = (encoding?: string) => answers.answer("all", encoding, () => jsonAnswer(503, LONG));
  expect(ask("gzip")?.headers).not.toContain("gzip");
  await answers.refresh();
  const zipped = ask("gzip");
  expect(zipped?.status).toBe(503);
  expect(JSON.parse(gunzipSync(zipped?.body ?? "").toString())).toEqual(LONG);
  const { "content-length": length, ...headers } = pairs(zipped?.headers ?? []);
  expect(Number(length)).toBe(zipped?.body.length);
  expect(headers).toEqual({
    "content-type": "application/json",
    "cache-control": "no-store",
    vary: "accept, accept-encoding, authorization",
    "content-encoding": "gzip",
  });
  const plain = ask();
  expect(JSON.parse(String(plain?.body))).toEqual(LONG);
  expect(pairs(plain?.headers ?? []).vary).toBe("accept, accept-encoding, authorization");
});

it("does not compress what fits into a packet", async () => {
  const answers = prepareAnswers();
  const ask = () => answers.answer("all", "gzip", () => jsonAnswer(200, {}));
  ask();
  await answers.refresh();
  expect(String(ask()?.body)).toBe("{}");
});

it("makes an answer once, again at a refresh when it was asked for, and forgets what nobody asks for", async () => {
  const answers = prepareAnswers();
  let made = 0;
  const ask = () => answers.answer("all", undefined, () => jsonAnswer(200, ++made));
  expect([ask(), ask()].map((answer) => String(answer?.body))).toEqual(["1", "1"]);
  await answers.refresh();
  expect(made).toBe(2);
  expect(String(ask()?.body)).toBe("2");
  await answers.refresh();
  await answers.refresh();
  expect(made).toBe(3);
  expect(String(ask()?.body)).toBe("4");
});

it("says nothing of what is not there any more", async () => {
  const answers = prepareAnswers();
  let there = true;
  const ask = () => answers.answer("shop", undefined, () => (there ? jsonAnswer(200, {}) : null));
  expect(ask()).not.toBeNull();
  there = false;
  await answers.refresh();
  expect(ask()).toBeNull();
});

function pairs(headers: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1] ?? ""]] : [])),
  );
}
