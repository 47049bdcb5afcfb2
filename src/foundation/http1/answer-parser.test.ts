import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { headersParser } from "./answer-headers.ts";
import { type AnswerHead, AnswerParser } from "./answer-parser.ts";

type Read = {
  status: number;
  headers: string[];
  body: string;
  ended: number;
  reusable: boolean;
  complete: boolean;
};

/** Feeds bytes cut at the places given through one small buffer, as a socket would. */
function read(text: string, cuts: readonly number[] = [], method = "GET"): Read {
  const bytes = Buffer.from(text, "latin1");
  const buffer = Buffer.alloc(64 * 1_024);
  const parser = new AnswerParser(headersParser(["x-signalbox-deployment"]));
  const seen = { status: 0, headers: [] as string[], body: "", ended: 0 };
  const events = {
    onHead(head: AnswerHead) {
      seen.status = head.status;
      seen.headers = head.headers;
    },
    onBody(part: Buffer | string) {
      seen.body += typeof part === "string" ? part : part.toString("latin1");
    },
    onEnd() {
      seen.ended++;
    },
  };
  parser.start(method);
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  );
  for (const [index, from] of places.entries()) {
    const part = bytes.subarray(from, places[index + 1] ?? bytes.length);
    // Whatever was there before must not be taken for this read's.
    buffer.fill("\r\n\r\n");
    part.copy(buffer);
    parser.read(buffer, part.length, events);
  }
  const complete = parser.close(events);
  return { ...seen, reusable: parser.reusable, complete };
}

const OK = "HTTP/1.1 200 OK\r\n";

describe("an answer", () => {
  it.each<[string, string, Partial<Read>, string?]>([
    [
      "with a length",
      `${OK}Content-Length: 5\r\n\r\nhello`,
      { status: 200, body: "hello", ended: 1, reusable: true },
    ],
    ["without a body", `${OK}content-length: 0\r\n\r\n`, { body: "", ended: 1, reusable: true }],
    [
      "in chunks, with extensions and trailers",
      `${OK}Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\n`,
      { body: "hello!", ended: 1, reusable: true, headers: [] },
    ],
    ["that ends with its connection", `${OK}X: y\r\n\r\nhello`, { body: "hello", ended: 1, reusable: false }],
    ["of 204", "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", { status: 204, ended: 1, reusable: true }],
    ["of 304 with a length", "HTTP/1.1 304\r\nContent-Length: 9\r\n\r\n", { status: 304, ended: 1 }],
    ["to HEAD", `${OK}Content-Length: 9\r\n\r\n`, { body: "", ended: 1, reusable: true }, "HEAD"],
    [
      "after 100 and 103",
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}Content-Length: 1\r\n\r\na`,
      { status: 200, body: "a", headers: ["Content-Length", "1"] },
    ],
    ["that closes", `${OK}Connection: close\r\nContent-Length: 1\r\n\r\na`, { ended: 1, reusable: false }],
    ["of HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", { ended: 1, reusable: false }],
    [
      "with hop-by-hop headers",
      `${OK}Connection: x-hop, keep-alive\r\nX-Hop: 1\r\nX-Kept:\t2 \r\nContent-Length: 0\r\n\r\n`,
      { headers: ["X-Kept", "2", "Content-Length", "0"], reusable: true },
    ],
    ["that was cut", `${OK}Content-Length: 5\r\n\r\nhel`, { body: "hel", ended: 0, complete: false }],
    ["cut in its chunks", `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhel`, { ended: 0, complete: false }],
  ])("%s is read, however it is cut into reads", (_, text, expected, method = "GET") => {
    expect(read(text, [], method)).toMatchObject(expected);
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 8 }), (cuts) => {
        expect(read(text, cuts, method)).toMatchObject(expected);
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ["no HTTP", "SSH-2.0-OpenSSH\r\n\r\n"],
    ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
    ["a length and chunks", `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ["two lengths", `${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`],
    ["a signed length", `${OK}Content-Length: +5\r\n\r\n`],
    ["a list of lengths", `${OK}Content-Length: 5, 5\r\n\r\n`],
    ["another transfer encoding", `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`],
    ["a line without a name", `${OK}: x\r\n\r\n`],
    ["a space before the colon", `${OK}Content-Length : 5\r\n\r\nhello`],
    ["a folded line", `${OK}X: 1\r\n folded\r\n\r\n`],
    ["an upgrade", "HTTP/1.1 101 Switching Protocols\r\n\r\n"],
    ["a chunk size that is none", `${OK}Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n`],
    ["a chunk longer than it said", `${OK}Transfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n`],
    ["a chunk ended by LF alone", `${OK}Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n`],
    ["bytes after its end", `${OK}Content-Length: 1\r\n\r\nab`],
    ["an endless head", `${OK}X: ${"x".repeat(70_000)}`],
  ])("with %s is refused", (_, text) => {
    const cuts = Array.from({ length: text.length >> 14 }, (_, index) => (index + 1) << 14);
    expect(() => read(text, cuts)).toThrow();
  });

  it("of any bytes and any chunks comes out as it went in", () => {
    const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 10 });
    fc.assert(
      fc.property(chunks, fc.array(fc.nat(), { maxLength: 10 }), (parts, cuts) => {
        const texts = parts.map((part) => Buffer.from(part).toString("latin1"));
        const body = texts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join("");
        const answer = read(`${OK}Transfer-Encoding: chunked\r\n\r\n${body}0\r\n\r\n`, cuts);
        expect(answer).toMatchObject({ body: texts.join(""), ended: 1, complete: true });
      }),
    );
  });
});
