import { mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { chooseServer } from "./connect.ts";
import { readCredentials, saveCredentials } from "./credentials.ts";

const stored = {
  servers: { "https://a.test": { token: "A" }, "https://b.test": { token: "B" } },
  default: "https://a.test",
};

test.each([
  {
    cli: { url: null, token: null },
    file: { servers: {}, default: null },
    url: "http://127.0.0.1:4700",
    token: null,
  },
  { cli: { url: null, token: null }, file: stored, url: "https://a.test", token: "A" },
  { cli: { url: "https://b.test/", token: null }, file: stored, url: "https://b.test", token: "B" },
  { cli: { url: null, token: "E" }, file: stored, url: "https://a.test", token: "E" },
  // A token of the file never goes to an address that it was not stored for.
  { cli: { url: "https://evil.test", token: null }, file: stored, url: "https://evil.test", token: null },
])("$cli goes to $url as $token", ({ cli, file, url, token }) => {
  expect(chooseServer({ port: 4700, cli }, file)).toEqual({ url, token });
});

test("stored credentials keep the other servers', and are the owner's to read alone", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "signalbox-credentials-")), "deep/er/credentials.json");
  expect(await readCredentials(file)).toEqual({ servers: {}, default: null });
  await saveCredentials(file, "https://a.test/", "A");
  await saveCredentials(file, "https://b.test", "B");
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ ...stored, default: "https://b.test" });
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("damaged credentials are an error that names the file, not a silent log-out", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "signalbox-credentials-")), "credentials.json");
  writeFileSync(file, "{");
  await expect(readCredentials(file)).rejects.toMatchObject({ message: expect.stringContaining(file) });
});
