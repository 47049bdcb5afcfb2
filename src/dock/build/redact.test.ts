import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LineCutter } from "./lines.ts";
import { createRedactor, formsOf, isSecret } from "./redact.ts";

const secretValue = fc
  .string({ minLength: 8, maxLength: 60, unit: "grapheme" })
  .filter((value) => /\S{8}/.test(value));
const name = fc.stringMatching(/^[A-Z][A-Z_]{0,12}$/);
const noise = fc.string({ maxLength: 40 });

function cut(
  env: Record<string, string>,
  chunks: readonly Buffer[],
  partialAfter: (index: number) => boolean,
) {
  const lines: string[] = [];
  const cutter = new LineCutter(createRedactor(env), (line) => lines.push(line));
  chunks.forEach((chunk, index) => {
    cutter.write(chunk);
    if (partialAfter(index)) cutter.flushPartial();
  });
  cutter.end();
  return lines;
}

describe("what is redacted", () => {
  test.each([
    ["a long value under any name", { LABEL: "abcdefgh" }, "is abcdefgh.", "is [redacted LABEL]."],
    ["a short value whose name says secret", { DB_PASSWORD: "tiger" }, "tiger!", "[redacted DB_PASSWORD]!"],
    ["a very short one only where it stands alone", { API_KEY: "1" }, "1 of 11", "[redacted API_KEY] of 11"],
    ["not a short value under another name", { REGION: "eu" }, "eu", "eu"],
    ["not the word every build prints", { NODE_ENV: "production" }, "for production", "for production"],
    ["base64", { A: "hunter2hunter2" }, Buffer.from("hunter2hunter2").toString("base64"), "[redacted A]"],
    ["URL-encoded", { A: "p@ss/w:rd&" }, "p%40ss%2Fw%3Ard%26", "[redacted A]"],
    ["JSON-escaped", { A: 'quote"quote' }, String.raw`"quote\"quote"`, '"[redacted A]"'],
    ["the longer of two that overlap", { A: "abcdefgh", B: "abcdefghij" }, "abcdefghij", "[redacted B]"],
  ])("%s", (_title, env, text, expected) => {
    expect(createRedactor(env as Record<string, string>).redact(text)).toBe(expected);
  });

  test("every line of a secret with several lines", () => {
    const lines = cut(
      { KEY: "-----BEGIN X-----\nMIIEvQIBADAN\n-----END X-----" },
      [Buffer.from("key is -----BEGIN X-----\nMIIEvQIBADAN\n-----END X-----\n")],
      () => false,
    );
    expect(lines.join("\n")).not.toMatch(/MIIE|BEGIN/);
  });

  test("a basic authorization header that holds the secret", () => {
    const header = Buffer.from("deploy:correct horse battery").toString("base64");
    const out = createRedactor({ PASS_WORD: "correct horse battery" }).redact(
      `authorization: Basic ${header}`,
    );
    expect(out).toContain("[redacted PASS_WORD]");
  });
});

test("no text shows a secret or one of its encodings, however its bytes are cut", () => {
  fc.assert(
    fc.property(
      name,
      secretValue,
      noise,
      noise,
      fc.array(fc.nat(200), { maxLength: 6 }),
      (key, value, before, after, cuts) => {
        fc.pre(isSecret(key, value));
        for (const form of formsOf(value)) {
          const bytes = Buffer.from(`${before}${form}${after}\n`);
          const places = [...new Set(cuts.map((at) => at % bytes.length))].sort((a, b) => a - b);
          const chunks = [0, ...places].map((at, index) => bytes.subarray(at, places[index] ?? bytes.length));
          const shown = cut({ [key]: value }, chunks, () => true).join("\n");
          // A form with a line end in it is cut there; its lines are forms of their own.
          if (!/[\r\n]/.test(form)) expect(withoutLabels(shown, key)).not.toContain(form);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("text without a secret arrives whole, however its bytes are cut", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.array(fc.nat(200), { maxLength: 6 }), (text, cuts) => {
      fc.pre(!/[\r\n]/.test(text) && text.isWellFormed() && !text.includes("unlikely"));
      const bytes = Buffer.from(text);
      const places = [...new Set(cuts.map((at) => at % (bytes.length + 1)))].sort((a, b) => a - b);
      const chunks = [0, ...places].map((at, index) => bytes.subarray(at, places[index] ?? bytes.length));
      expect(cut({ A: "unlikely-secret" }, chunks, () => true).join("")).toBe(text);
    }),
  );
});

test("a line that never ends is handed on in pieces, without half a secret at a seam", () => {
  const text = `${"x".repeat(16_380)}topsecret1${"y".repeat(100)}`;
  const bytes = Buffer.from(text);
  const lines = cut({ A: "topsecret1" }, [bytes.subarray(0, 16_386), bytes.subarray(16_386)], () => false);
  expect(lines.join("")).toContain("[redacted A]");
  expect(lines.join("")).not.toContain("topse");
});

test("a progress line shows its last state", () => {
  expect(cut({}, [Buffer.from("10%\r50%\r100%\r\ndone\n")], () => false)).toEqual(["100%", "done"]);
});

function withoutLabels(text: string, key: string): string {
  return text.replaceAll(`[redacted ${key}]`, "\0");
}
