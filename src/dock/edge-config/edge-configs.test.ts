import { describe, expect, it } from "vitest";
import { changedItems, type ItemChange } from "./edge-configs.ts";

const before = { a: { value: 1, description: "first", createdAt: 1, updatedAt: 1 } };
const change = (operation: ItemChange["operation"], key: string, value?: unknown): ItemChange => {
  return { operation, key, ...(value === undefined ? {} : { value }) };
};

describe("changes of items", () => {
  it("update what is there, create what is not, and upsert both", () => {
    const after = changedItems(
      before,
      [change("update", "a", 2), change("create", "b", 3), change("upsert", "c", 4)],
      9,
    );
    expect(after).toEqual({
      a: { value: 2, description: "first", createdAt: 1, updatedAt: 9 },
      b: { value: 3, createdAt: 9, updatedAt: 9 },
      c: { value: 4, createdAt: 9, updatedAt: 9 },
    });
    expect(changedItems(before, [change("delete", "a"), change("create", "a", 5)], 9)).toMatchObject({
      a: { value: 5, createdAt: 9 },
    });
  });

  it.each([
    ["conflict", change("create", "a", 1)],
    ["not_found", change("update", "b", 1)],
    ["not_found", change("delete", "b")],
    ["bad_request", change("upsert", "__proto__", 1)],
    ["bad_request", change("upsert", "a b", 1)],
  ])("are refused with %s: %j", (code, bad) => {
    expect(() => changedItems(before, [bad], 9)).toThrow(expect.objectContaining({ code }));
  });
});
