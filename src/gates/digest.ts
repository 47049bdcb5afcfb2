import assert from "node:assert/strict";
import { createHash } from "node:crypto";

/**
 * Names what is approved: SHA-256 (hex) of the parts as canonical JSON. The order of keys does not change it, and any
 * other difference does; a key whose value is `undefined` is as if it were not there.
 */
export function gateDigest(parts: Readonly<Record<string, unknown>>): string {
  return createHash("sha256").update(canonical(parts)).digest("hex");
}

function canonical(value: unknown): string {
  if (value instanceof Date) return JSON.stringify(value.toISOString());
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item ?? null)).join(",")}]`;
  if (typeof value === "object" && value !== null) return canonicalObject(value);
  // JSON would make `null` of all of these, and different things must not have one digest.
  assert.ok(typeof value !== "number" || Number.isFinite(value), "a digest is of finite numbers");
  assert.ok(
    ["string", "number", "boolean", "object"].includes(typeof value),
    `no digest of a ${typeof value}`,
  );
  return JSON.stringify(value);
}

function canonicalObject(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  assert.ok(prototype === Object.prototype || prototype === null, "a digest is of plain data");
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join(",")}}`;
}
