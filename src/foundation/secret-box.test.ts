import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { createSecretBox, readOrCreateKey } from "./secret-box.ts";

const box = createSecretBox(new Uint8Array(32).fill(7));

it("what was sealed opens again, and never looks the same twice", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const a = box.seal(text, "c");
      expect(box.open(a, "c")).toBe(Buffer.from(text, "utf8").toString("utf8"));
      expect(a.equals(box.seal(text, "c"))).toBe(false);
    }),
  );
});

it("another key, another context or a changed byte does not open it", () => {
  const sealed = box.seal("hunter2", "var_1");
  const changed = Buffer.from(sealed);
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
  expect(() => box.open(sealed, "var_2")).toThrow(/does not open/);
  expect(() => box.open(changed, "var_1")).toThrow(/does not open/);
  expect(() => createSecretBox(new Uint8Array(32)).open(sealed, "var_1")).toThrow(/does not open/);
});

it("a key file is made once, for its owner only", async () => {
  const dir = await mkdtemp(join(tmpdir(), "key-"));
  const path = join(dir, "deep", "key");
  const first = await readOrCreateKey(path);
  expect(await readOrCreateKey(path)).toEqual(first);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await rm(dir, { recursive: true });
});
