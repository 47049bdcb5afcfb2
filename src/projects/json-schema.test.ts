import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, it } from "vitest";
import { configJsonSchema } from "./config.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const SCHEMA = resolve(ROOT, "schemas/signalbox.schema.json");

it("the shipped JSON Schema is the one that the code validates by (stale? `vitest run src/projects -u`)", async () => {
  const formatted = execFileSync(
    resolve(ROOT, "node_modules/.bin/biome"),
    ["format", "--stdin-file-path=signalbox.schema.json"],
    { cwd: ROOT, input: JSON.stringify(configJsonSchema(), null, 2), encoding: "utf8" },
  );
  await expect(formatted).toMatchFileSnapshot(SCHEMA);
});

it("the JSON Schema describes the file as it is written, not as it is parsed", async () => {
  const schema = JSON.parse(await readFile(SCHEMA, "utf8"));
  expect(schema.additionalProperties).toBe(false);
  expect(schema.properties.health.properties.timeout.type).toBe("string");
});
