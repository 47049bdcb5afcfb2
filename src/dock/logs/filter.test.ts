import { expect, it } from "vitest";
import { parseFilter } from "./filter.ts";

const record = {
  deploymentId: "dpl_1",
  level: "error",
  requestPath: "/api/checkout",
  httpStatus: 502,
  message: 'it said "no"',
  branch: "",
};

it.each([
  ['(deploymentId:"dpl_1")', true],
  ['(deploymentId:"dpl_2")', false],
  ["level:error", true],
  ["level:(warning OR error)", true],
  ["level:(warning OR info)", false],
  ["level != error", false],
  ["level != (warning OR info)", true],
  ["httpStatus >= 500", true],
  ["httpStatus>=503", false],
  ["httpStatus < 502", false],
  ["requestPath:*check*", true],
  ["requestPath:/api/*", true],
  ["requestPath:*out", true],
  ["requestPath:*api*check*out*", true],
  ["requestPath:*out*check*", false],
  ['requestPath:"*check*"', false],
  ["requestPath:*", true],
  ["branch:*", false],
  ["traceId:*", false],
  ['message:"it said \\"no\\""', true],
  ["NOT level:info", true],
  ["level:error AND NOT httpStatus >= 500", false],
  ["level:info OR level:error AND httpStatus >= 500", true],
  ["(level:info OR level:error) AND httpStatus < 500", false],
  ["level:error httpStatus >= 500", true],
  ["level:error and httpStatus >= 500", true],
])("%s: %s", (filter, expected) => expect(parseFilter(filter)(record)).toBe(expected));

it.each([
  "level",
  "level:",
  "level:(a OR",
  "(level:error",
  "level:error)",
  "AND level:error",
  '"level',
  ":error",
])("%s is refused with what is wrong", (filter) => expect(() => parseFilter(filter)).toThrow(/The filter/));

it("takes no longer for many stars", () => {
  const filter = parseFilter(`message:${"*a".repeat(2_000)}*`);
  expect(filter({ message: "a".repeat(1_999) })).toBe(false);
});
