import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PreviewServer, previewServer } from "../../../test/support/preview-stand.ts";
import { readConfig } from "../../config.ts";
import { systemClock } from "../../foundation/clock.ts";
import { type Io, runCli } from "../index.ts";

let home: string;
let server: PreviewServer;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "signalbox-cli-"));
  server = await previewServer();
  await server.stand.makeProject("shop");
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

/** `signalbox previews …` as the owner, against the real routes. */
async function previews(...argv: string[]) {
  let stdout = "";
  let stderr = "";
  const io: Io = {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text), columns: 100 },
    isTTY: false,
    cwd: home,
    onSignal: () => () => {},
  };
  const env = { XDG_CONFIG_HOME: join(home, "config"), SIGNALBOX_URL: server.url, SIGNALBOX_TOKEN: "owner" };
  const processes = {
    up: () => Promise.reject(),
    down: () => Promise.reject(),
    dockAccess: () => Promise.reject(),
  };
  const code = await runCli(["previews", ...argv], io, readConfig(env, home), systemClock, processes);
  return { code, stdout, stderr };
}

test("sets what is given of the policy, and leaves the rest as it was", async () => {
  const first = [
    "policy",
    "--source",
    "github",
    "--repository",
    server.stand.github.repository,
    "--ttl",
    "36h",
  ];
  expect((await previews(...first)).code).toBe(0);
  await previews(
    "policy",
    "--limit",
    "3",
    "--staging",
    "next",
    "--production",
    "main",
    "--exclude",
    "docs/**,wip",
  );
  const shown = JSON.parse((await previews("policy", "--json")).stdout).policy;
  expect(shown).toMatchObject({
    source: "github",
    ttlMs: 36 * 3_600_000,
    limit: 3,
    deployOnPush: { next: "staging" },
    productionBranch: "main",
    exclude: ["docs/**", "wip"],
  });
  await previews("policy", "--staging", "none", "--ttl", "none");
  const after = JSON.parse((await previews("policy", "--json")).stdout).policy;
  expect(after).toMatchObject({ deployOnPush: {}, ttlMs: null, limit: 3 });
  expect((await previews("policy")).stdout).toContain("Codertocat/Hello-World");
});

test("sweeps, lists and closes", async () => {
  await previews("policy", "--source", "github", "--repository", server.stand.github.repository);
  server.stand.github.open({ number: 42 });
  expect((await previews("sweep")).stdout).toMatch(/deploy +pr-42 +It was opened\./);
  const listed = (await previews()).stdout;
  expect(listed).toMatch(/shop +pr-42 +queued/);
  expect((await previews("close", "pr-42")).stdout).toContain("pr-42 of shop is closed");
  expect((await previews("list")).stderr).toContain("There are no previews.");
  const again = await previews("close", "pr-42");
  expect([again.code, again.stderr]).toEqual([
    expect.any(Number),
    expect.stringContaining('no preview "pr-42"'),
  ]);
  expect(again.code).not.toBe(0);
});

test("prints what to enter at GitHub", async () => {
  const { stdout } = await previews("webhook", "--project", "shop");
  expect(stdout).toContain(`${server.url}/api/webhooks/github/shop`);
  expect(stdout).toMatch(/Secret +whs_[0-9a-z]{32}/);
});

test.each([
  [["what"], "does not know"],
  [["list", "pr-1"], "does not know"],
  [["close"], "needs a key"],
  [["policy", "--ttl", "soon"], "--ttl soon is no time"],
  [["policy", "--limit", "few"], "--limit"],
  [["policy", "--source", "gitlab"], "--source"],
])("refuses %j with one clear sentence", async (argv, message) => {
  const { code, stderr } = await previews(...argv);
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
});
