import fc from "fast-check";
import { expect, test } from "vitest";
import { createEventParser, type ServerSentEvent } from "./event-stream.ts";

const parseAll = (...pieces: string[]): ServerSentEvent[] => {
  const parse = createEventParser();
  return pieces.flatMap((piece) => parse(piece));
};

test.each<[string, ServerSentEvent[]]>([
  ["data: a\n\n", [{ event: "message", data: "a", id: "" }]],
  ["event: log\nid: 7\ndata: a\ndata: b\n\n", [{ event: "log", data: "a\nb", id: "7" }]],
  [
    "data:a\r\n\r\ndata:  b\r\r",
    [
      { event: "message", data: "a", id: "" },
      { event: "message", data: " b", id: "" },
    ],
  ],
  [": only a comment\n\n", []],
  ["event: nothing\n\n", []],
  ["data\n\n", [{ event: "message", data: "", id: "" }]],
  ["id: 1\n\ndata: x\n\n", [{ event: "message", data: "x", id: "1" }]],
  ["data: not complete\n", []],
  ["\uFEFFdata: bom\n\n", [{ event: "message", data: "bom", id: "" }]],
])("%j", (text, events) => {
  expect(parseAll(text)).toEqual(events);
});

test("wherever the text is cut, the events are the same", () => {
  const field = fc.constantFrom(
    "data: x",
    "data:",
    "id: 4",
    "event: log",
    ": note",
    "",
    "data: ä€😀",
    "retry: 5",
  );
  const end = fc.constantFrom("\n", "\r\n", "\r");
  const text = fc.array(
    fc.tuple(field, end).map((parts) => parts.join("")),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(text, fc.array(fc.nat(200), { maxLength: 12 }), (lines, cuts) => {
      const whole = lines.join("");
      const at = [...cuts.map((cut) => Math.min(cut, whole.length)), 0, whole.length].sort((a, b) => a - b);
      const pieces = at.slice(1).map((to, index) => whole.slice(at[index], to));
      expect(parseAll(...pieces)).toEqual(parseAll(whole));
    }),
  );
});
