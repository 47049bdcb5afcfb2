import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { folderOf, packageJson, startTestInstance, type TestInstance } from "../support/instance.ts";

let at: TestInstance;
beforeAll(async () => {
  const limits = {
    SIGNALBOX_BUILD_TIMEOUT_S: "6",
    SIGNALBOX_BUILD_MEMORY_MB: "400",
    SIGNALBOX_BUILD_DISK_MB: "64",
  };
  at = await startTestInstance(limits);
});
afterAll(() => at.remove());

const HEALTH = "health: { interval: 100ms, timeout: 1s, deadline: 4s, min_healthy_time: 0s }\n";
let good = "";
beforeEach(async () => {
  if (good) return;
  await using app = await folderOf({ "index.html": "still here" });
  const deployed = await at.deploy(app.path, "--env", "production", "--project", "victim");
  expect(deployed, deployed.output).toMatchObject({ state: "live" });
  good = deployed.urls[0] ?? "";
});

/** Deploys these files over the good release, and checks what every failure must leave behind: nothing. */
async function failsWith(files: Record<string, string>, sentence: RegExp): Promise<string> {
  await using app = await folderOf(files);
  const failed = await at.deploy(app.path, "--env", "production", "--project", "victim");
  expect(failed.state, failed.output).toBe("failed");
  expect(failed.code).toBe(1);
  expect(failed.reason).toMatch(sentence);
  expect(failed.hint).toBeTruthy();
  expect((await at.get(good)).body).toBe("still here");
  return failed.id;
}

const build = (script: string) => ({
  "package.json": packageJson("victim", { build: "node build.js" }),
  "build.js": script,
});
const server = (script: string) => ({
  "package.json": packageJson("victim"),
  "signalbox.yaml": HEALTH,
  "server.js": script,
});
const processesWith = (marker: string) =>
  readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(marker);
    } catch {
      return false;
    }
  });

test("a build that fails says its exit code and its last words", async () => {
  await failsWith(
    build(`console.error("cannot find the moon"); process.exit(3);`),
    /exit(ed)?.*3|cannot find the moon/i,
  );
});

test("a build that hangs ends at its time limit", async () => {
  await failsWith(build("setInterval(() => {}, 1000);"), /6 ?s|time|longer/i);
});

test("a build whose children flee leaves no process behind", async () => {
  const marker = `runaway-${process.pid}`;
  await failsWith(
    build(`import { spawn } from "node:child_process";
const args = ["-e", "setInterval(() => {}, 1000) // ${marker}"];
spawn(process.execPath, args, { detached: true, stdio: "ignore" }).unref();
process.exit(1);`),
    /./,
  );
  expect(processesWith(marker)).toEqual([]);
});

test("a build that fills the disk is stopped at its limit", async () => {
  await failsWith(
    build(`import { appendFileSync } from "node:fs";
const chunk = Buffer.alloc(4 << 20, 1);
setInterval(() => appendFileSync("big.bin", chunk), 20);`),
    /64|disk|large|space/i,
  );
});

test("a secret that a build prints is in no log", async () => {
  const secret = "s3cr3t-value-of-the-day";
  const id = await failsWith(
    {
      ...build(`console.log("token is " + process.env.API_TOKEN); process.exit(1);`),
      "signalbox.yaml": `env: { API_TOKEN: ${secret} }\n`,
    },
    /./,
  );
  const { deployment, logs } = await at.api.status(id);
  expect(JSON.stringify({ deployment, logs })).not.toContain(secret);
  expect(logs.map((line) => line.text).join("\n")).toContain("token is [redacted");
});

test("an app that exits, never listens, or answers 500 gets no traffic", async () => {
  await failsWith(server("console.error('no database'); process.exit(7);"), /7|no database|exit/i);
  await failsWith(
    server(`import http from "node:http";
http.createServer((q, s) => { s.statusCode = 500; s.end("broken"); }).listen(process.env.PORT ?? 3000);`),
    /500/,
  );
});

test("a signalbox.yaml full of mistakes names them all at once, with lines", async () => {
  await using app = await folderOf({
    "index.html": "x",
    "signalbox.yaml": "biuld: { command: x }\nhealth: { timeout: soon }\nenvironments: { moon: {} }\n",
  });
  const refused = await at.cli(["deploy", app.path, "--env", "production", "--project", "victim"]);
  expect(refused.code).not.toBe(0);
  for (const part of ["biuld", "build", "soon", "moon"]) expect(refused.output).toContain(part);
  expect(refused.output).toMatch(/\b1:1\b|line 1/i);
  expect(refused.output).toMatch(/\b2:\d+\b|line 2/i);
});

test.for([
  { what: "no JSON", body: "{", status: 400, says: /JSON/ },
  {
    what: "an unknown environment",
    body: '{"environment":"moon","project":"victim"}',
    status: 400,
    says: /environment/,
  },
  {
    what: "an unknown project",
    body: '{"environment":"production","project":"nope"}',
    status: 404,
    says: /nope/,
  },
  {
    what: "a tree that was never sent",
    body: `{"environment":"production","project":"victim","source":{"tree":"${"0".repeat(64)}"}}`,
    status: 404,
    says: /tree/i,
  },
])("a trigger with $what is refused with one sentence", async ({ body, status, says }) => {
  const answer = await at.call("/api/deploy/trigger", { method: "POST", body });
  const { error } = (await answer.json()) as { error: { message: string; hint: string } };
  expect(answer.status, error.message).toBe(status);
  expect(error.message).toMatch(says);
  expect(error.hint).toBeTruthy();
});

test("a repository that is not there, and a ref that does not exist, end the deployment with a sentence", async () => {
  const missing = await at.cli([
    "deploy",
    "https://nowhere.invalid/x.git",
    "--env",
    "preview",
    "--project",
    "victim",
  ]);
  expect(missing.code).not.toBe(0);
  expect(missing.output).toMatch(/nowhere\.invalid/);
});

test("rolling back where there is nothing to go back to is refused, and says what to do", async () => {
  const refused = await at.cli(["rollback", "--env", "staging", "--project", "victim"]);
  expect(refused.code).toBe(5);
  expect(refused.output).toMatch(/nothing|no .*release|back/i);
});

test("a second supervisor on the same folder, and a port in use, are refused by name", async () => {
  const { signalbox } = await import("../../bench/support/instance.ts");
  const samePorts = { ...at.environment, SIGNALBOX_DIR: `${at.dir}-other` };
  const refused = await signalbox(["up"], { environment: samePorts });
  expect(refused.code).not.toBe(0);
  expect(refused.output).toMatch(/cannot listen on 127\.0\.0\.1:\d+: another program does|Port \d+ .*in use/);
  const again = await at.cli(["up", "--foreground"]);
  expect(again.code).not.toBe(0);
  expect(again.output).toMatch(/Another supervisor \(pid \d+\) holds/);
});
