import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { loadProbe, loadProbes, probeTypes } from "./index.ts";

test("each kind is registered under its own type, and refuses settings that it does not know", async () => {
  for (const type of probeTypes()) {
    const kind = await loadProbe(type);
    expect(kind.type).toBe(type);
    expect(kind.settings.safeParse({ noSuchSetting: true }).success, type).toBe(false);
  }
  expect([...(await loadProbes()).keys()]).toEqual(probeTypes());
});

test("each kind has its page in the documentation", () => {
  expect(probeTypes().filter((type) => !existsSync(`docs/health/${type}.md`))).toEqual([]);
});
