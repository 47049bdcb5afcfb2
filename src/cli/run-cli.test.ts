import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { type ControlDouble, startControlDouble, TOKEN } from "../../test/support/control-double.ts";
import { readConfig } from "../config.ts";
import { systemClock } from "../foundation/clock.ts";
import { type Io, type Processes, runCli } from "./index.ts";

let home: string;
let app: string;
let control: ControlDouble;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "signalbox-cli-"));
  vi.stubEnv("HOME", home);
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});
beforeEach(async () => {
  control = await startControlDouble();
  app = mkdtempSync(join(home, "shop-"));
  write({ "package.json": '{"name":"@acme/shop"}', "index.html": "<h1>shop</h1>", "src/a.js": "1" });
});
afterEach(() => control.close());

function write(files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(app, path, ".."), { recursive: true });
    writeFileSync(join(app, path), text);
  }
}

type Result = { code: number; stdout: string; stderr: string };

const noProcesses: Processes = {
  up: async () => ({ url: "", dockUrl: "", gatewayUrl: "", token: null, pids: {} }),
  down: async () => ({ stopped: [] }),
  dockAccess: async () => ({ url: "http://127.0.0.1:4701", token: "dock_secret" }),
};

async function cli(
  argv: string[],
  options: {
    env?: Record<string, string>;
    isTTY?: boolean;
    processes?: Processes;
    onSignal?: Io["onSignal"];
  } = {},
): Promise<Result & { text: string }> {
  let stdout = "";
  let stderr = "";
  const io: Io = {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text), columns: 100 },
    isTTY: options.isTTY ?? false,
    cwd: app,
    onSignal: options.onSignal ?? (() => () => {}),
  };
  const env = options.env ?? { SIGNALBOX_URL: control.url, SIGNALBOX_TOKEN: TOKEN };
  const config = readConfig({ XDG_CONFIG_HOME: join(home, "config"), ...env }, app);
  const code = await runCli(argv, io, config, systemClock, options.processes ?? noProcesses);
  return { code, stdout, stderr, text: stdout + stderr };
}

const json = (result: Result) => JSON.parse(result.stdout);

test("makes the project, sends the files, follows to the end and prints the URL alone on stdout", async () => {
  const result = await cli(["deploy"]);
  expect(result).toMatchObject({ code: 0, stdout: "http://shop.localhost:8080\n" });
  expect([...control.projects]).toEqual(["shop"]);
  expect(control.trees[0]?.files.map(({ path }) => path)).toEqual(["index.html", "package.json", "src/a.js"]);
  expect(control.files.size).toBe(3);
  expect(control.triggers[0]?.body).toMatchObject({ project: "shop", environment: "preview" });
  expect(result.stderr).toContain("No --env given: deploying to preview");
  expect(result.stderr).toContain("✓ Built  1.2 s");
  expect(result.stderr).toContain("✓ shop is live in preview");
});

test("the second time no byte is sent", async () => {
  await cli(["deploy"]);
  const result = await cli(["deploy", "--json"]);
  expect(json(result)).toMatchObject({ state: "live", sent: { files: 3, sentFiles: 0, sentBytes: 0 } });
  expect(result.stderr).toContain("Nothing to send");
});

test("with --json stdout is one JSON object and progress stays on stderr", async () => {
  const result = await cli(["deploy", ".", "--env", "production", "--json"]);
  expect(result.stdout.trim().split("\n")).toHaveLength(1);
  expect(json(result)).toMatchObject({
    deploymentId: "dep_1",
    environment: "production",
    url: "http://shop.localhost:8080",
    deployment: { id: "dep_1", state: "live" },
  });
});

test("uploads are tried again while the server says that it is busy", async () => {
  control.faults.uploads = 2;
  expect((await cli(["deploy"])).code).toBe(0);
  expect(control.files.size).toBe(3);
});

test("a trigger whose answer is lost is sent again with the same key and deploys once", async () => {
  control.faults.triggerAnswersLost = 1;
  const result = await cli(["deploy", "--json"]);
  expect(result.code).toBe(0);
  expect(control.triggers).toHaveLength(1);
  expect(control.deployments).toHaveLength(1);
  expect(control.seen.filter(({ path }) => path === "/api/deploy/trigger")).toHaveLength(2);
});

test("a stream that breaks is taken up after the last log line, none twice", async () => {
  control.faults.streamCutAfterEvents = 2;
  const result = await cli(["logs", "dep_1", "--follow"], await deployed());
  expect(result.stdout).toBe("installing\ncompiling\n");
  expect(control.seen.some(({ lastEventId }) => lastEventId === "2")).toBe(true);
});

test("where streams do not get through it polls", async () => {
  control.faults.streams = false;
  expect(await cli(["deploy"])).toMatchObject({ code: 0, stdout: "http://shop.localhost:8080\n" });
});

test("a failed build exits 1 with the reason, the way out and the end of the log", async () => {
  const log = Array.from({ length: 30 }, (_, line) => `line ${line + 1}`);
  control.course = [
    { state: "building", log },
    { state: "failed", reason: "The build command exited with 2.", hint: "Run it locally." },
  ];
  const result = await cli(["deploy", "--json"]);
  expect(result.code).toBe(1);
  expect(result.stderr).toContain("✗ Build failed");
  expect(result.stderr).toContain(
    "failed: The build command exited with 2. What served before still serves.",
  );
  expect(result.stderr).toContain("→ Run it locally.");
  expect(json(result).logTail).toEqual(log.slice(-20));
  expect(result.stderr).not.toContain("line 10\n");
});

test("a canary's weights are told as they change, and its rollback exits 1", async () => {
  control.course = [
    { state: "shifting", weight: 10 },
    { state: "shifting", weight: 50 },
    { state: "rolling_back", reason: "4 % of the answers were 5xx" },
    { state: "rolled_back" },
  ];
  const result = await cli(["deploy", "--env", "production"]);
  expect(result.code).toBe(1);
  expect(result.stderr).toMatch(/traffic: 10 %[\s\S]*traffic: 50 %[\s\S]*Traffic shift stopped/);
  expect(result.stderr).toContain("was rolled back: 4 % of the answers were 5xx.");
});

test("a deployment overtaken by a newer one exits 5", async () => {
  control.course = [{ state: "superseded" }];
  expect((await cli(["deploy"])).code).toBe(5);
});

test("Ctrl-C detaches, says how to come back and exits 130, and cancels nothing", async () => {
  const never = new Promise<void>(() => {});
  control.course = [{ state: "building" }, { state: "live", after: never }];
  const listeners: ((signal: NodeJS.Signals) => void)[] = [];
  const onSignal: Io["onSignal"] = (listener) => {
    listeners.push(listener);
    return () => {};
  };
  const running = cli(["deploy"], { onSignal });
  await vi.waitUntil(() => control.deployments[0]?.state === "building", { timeout: 20_000 });
  listeners[0]?.("SIGINT");
  const result = await running;
  expect(result.code).toBe(130);
  expect(result.stderr).toContain("goes on");
  expect(result.stderr).toContain("signalbox status dep_1 --watch");
  expect(result.stderr).toContain("signalbox cancel dep_1");
  expect(control.seen.some(({ path }) => path.includes("cancel"))).toBe(false);
});

test("--detach returns as soon as it is accepted", async () => {
  expect(await cli(["deploy", "--detach"])).toMatchObject({ code: 0, stdout: "dep_1\n" });
});

test("a git URL is left to the control plane, under the repository's name", async () => {
  const url = "https://git.example.com/acme/Web-Shop.git";
  await cli(["deploy", url, "--env", "staging", "--branch", "main", "--commit", "v1"]);
  expect(control.triggers[0]?.body).toEqual({
    project: "web-shop",
    environment: "staging",
    branch: "main",
    commit: "v1",
    source: { git: url },
  });
  expect(control.trees).toHaveLength(0);
});

test("--commit sends that commit's files and not the folder's; a changed folder is marked dirty", async () => {
  git("init", "-q", "-b", "main");
  git("add", ".");
  git("commit", "-qm", "First words\n\nbody");
  write({ "index.html": "changed", "new.txt": "new" });
  await cli(["deploy"]);
  await cli(["deploy", "--commit", "HEAD"]);
  const commit = git("rev-parse", "HEAD").trim();
  const common = { branch: "main", commit, message: "First words" };
  expect(control.triggers[0]?.body).toMatchObject({ ...common, dirty: true });
  expect(control.triggers[1]?.body).toMatchObject(common);
  expect(control.triggers[1]?.body).not.toHaveProperty("dirty");
  const [folder, committed] = control.trees;
  expect(folder?.files.map(({ path }) => path)).toContain("new.txt");
  expect(committed?.files.map(({ path }) => path)).not.toContain("new.txt");
  const page = committed?.files.find(({ path }) => path === "index.html");
  expect(control.files.get(page?.sha1 ?? "")?.toString()).toBe("<h1>shop</h1>");
});

test("the mistakes of signalbox.yaml are all shown with their place", async () => {
  write({ "signalbox.yaml": "helth: 1\n" });
  const details = [
    { line: 1, column: 1, path: "helth", message: 'Unknown key "helth"', hint: 'Did you mean "health"?' },
    { line: 2, column: 3, path: "name", message: "name is empty" },
  ];
  const error = {
    code: "unprocessable",
    message: "signalbox.yaml has 2 mistakes.",
    details,
    requestId: "req_9",
  };
  control.fixed.set("POST /api/sources/trees", [422, { error }]);
  const result = await cli(["deploy"]);
  expect(result.code).toBe(1);
  expect(result.stderr).toContain('signalbox.yaml:1:1  Unknown key "helth"');
  expect(result.stderr).toContain('→ Did you mean "health"?');
  expect(result.stderr).toContain("signalbox.yaml:2:3  name is empty");
  expect(result.stderr).toContain("request req_9");
  expect(control.triggers).toHaveLength(0);
});

test("a folder that is not there, and one with nothing in it, are one sentence and exit 6", async () => {
  expect(await cli(["deploy", "nowhere"])).toMatchObject({
    code: 6,
    stderr: expect.stringContaining("no folder"),
  });
  mkdirSync(join(app, "empty"));
  const empty = await cli(["deploy", "empty"]);
  expect(empty).toMatchObject({ code: 6, stderr: expect.stringContaining("nothing to deploy") });
});

async function deployed(): Promise<object> {
  await cli(["deploy", "--detach"]);
  return {};
}

function git(...args: string[]): string {
  const identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
  return execFileSync("git", [...identity, ...args], { cwd: app, encoding: "utf8" });
}

test("nothing listening: says to start it, exit 3", async () => {
  const result = await cli(["list"], { env: { SIGNALBOX_URL: "http://127.0.0.1:1" } });
  expect(result.code).toBe(3);
  expect(result.stderr).toContain("npx signalbox up");
});

test("no token: says how to get one, exit 4", async () => {
  const result = await cli(["list", "--json"], { env: { SIGNALBOX_URL: control.url } });
  expect(result.code).toBe(4);
  expect(json(result)).toMatchObject({
    error: { code: "unauthorized", hint: expect.stringContaining("login") },
  });
  expect(result.stderr).toContain("none is stored for it");
});

test("a pull request's preview is asked for by its number, and only as a preview", async () => {
  await cli(["deploy", "--pull-request", "42"]);
  expect(control.triggers[0]?.body).toMatchObject({ environment: "preview", pullRequest: 42 });
  const wrong = await cli(["deploy", "--pull-request", "42", "--env", "production"]);
  expect(wrong).toMatchObject({ code: 2 });
  expect(control.triggers).toHaveLength(1);
  control.fixed.set("POST /api/deploy/rollback", [404, { error: { code: "not_found", message: "None." } }]);
  expect(await cli(["rollback", "--env", "preview", "--pull-request", "x"])).toMatchObject({ code: 2 });
});

const APPROVAL = { state: "awaiting_approval", reason: "Healthy for 10 s. Waits for 1 approval (by ann)." };

test("at an approval --wait stays until somebody came", async () => {
  control.course = [{ ...APPROVAL, fields: { approvalDigest: "d".repeat(64) } }, { state: "live" }];
  const result = await cli(["deploy", "--wait"]);
  expect(result.code).toBe(0);
  expect(result.stderr).toContain(`→ signalbox approve dep_1 --digest ${"d".repeat(64)}`);
});

test("a wait timer ends by itself, so it is waited for", async () => {
  const reason = "Healthy for 10 s. Waits for its wait timer until 08:00 UTC.";
  control.course = [{ state: "awaiting_approval", reason }, { state: "live" }];
  expect((await cli(["deploy"])).code).toBe(0);
});

test("of several services the weights, the log lines and the verdicts tell which", async () => {
  const service = (name: string, weight: number) => ({ name, weight, url: null, urls: [], unchanged: false });
  const verdict = {
    at: "2026-01-01T00:00:01Z",
    weight: 10,
    name: "errors",
    is: "fail",
    reason: "4 % were 5xx",
  };
  const stages = [{ weight: 10, bakeMs: 1_000 }];
  const rollout = { stages, index: 0, paused: null, verdicts: [verdict], notes: [] };
  const services = [service("api", 100), service("web", 10)];
  control.course = [
    { state: "building", log: ["compiling"], service: "web", fields: { services } },
    { state: "shifting", weight: 10, fields: { rollout } },
    { state: "live" },
  ];
  const result = await cli(["deploy"]);
  expect(result.stderr).toContain("Shifting traffic: api 100 %, web 10 %");
  expect(result.stderr).toContain("✗ 10 %  errors: 4 % were 5xx");
  expect((await cli(["logs", "dep_1"])).stdout).toBe("web | compiling\n");
  const status = (await cli(["status", "dep_1"])).stdout;
  expect(status).toMatch(/api {2}100 %[\s\S]*web {2}10 %[\s\S]*errors: 4 % were 5xx/);
});

test("an unknown deployment: exit 6 with hint and request id", async () => {
  const result = await cli(["status", "dep_nope"]);
  expect(result).toMatchObject({ code: 6, stdout: "" });
  expect(result.stderr).toContain("→ See the list.");
  expect(result.stderr).toContain("request req_2");
});

test("nothing to roll back to: exit 5", async () => {
  const error = { code: "conflict", message: "There is no earlier release.", hint: "Deploy a fix." };
  control.fixed.set("POST /api/deploy/rollback", [409, { error }]);
  const result = await cli(["rollback", "--env", "production"]);
  expect(result.code).toBe(5);
  expect(result.stderr).toContain("→ Deploy a fix.");
});

test("something else on the port: says so", async () => {
  control.fixed.set("GET /api/deploy/list", [418, "teapot"]);
  expect((await cli(["list"])).stderr).toContain("not in the words of Signalbox");
});

test("list and status show what there is, as a table or as JSON", async () => {
  await cli(["deploy", "--env", "production", "--message", "Sell more"]);
  const table = await cli(["list"]);
  expect(table.stdout).toMatch(/DEPLOYMENT +PROJECT.*\ndep_1 +shop +production +live .* owner +Sell more\n/);
  expect((await cli(["status"])).stdout).toMatch(/PROJECT +ENV.*\nshop +production +live.*http:\/\/shop/);
  expect(json(await cli(["list", "--json"])).deployments).toHaveLength(1);
  expect((await cli(["status", "dep_1"])).stdout).toMatch(/state +live[\s\S]*✓ Built/);
});

test("status --watch exits with the deployment's outcome", async () => {
  control.course = [{ state: "building" }, { state: "failed", reason: "no" }];
  await cli(["deploy", "--detach"]);
  expect((await cli(["status", "--watch"])).code).toBe(1);
  expect((await cli(["status", "dep_1"])).code).toBe(0);
});

test("logs prints the whole log over several pages, or one JSON object a line", async () => {
  control.course = [{ state: "building", log: ["a", "b", "c", "d\u001b[2J"] }, { state: "live" }];
  await cli(["deploy"]);
  expect((await cli(["logs"])).stdout).toBe("a\nb\nc\nd\n");
  const lines = (await cli(["logs", "dep_1", "--json"])).stdout.trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).seq)).toEqual([1, 2, 3, 4]);
});

test("rollback tells what serves now, and sends a key", async () => {
  const body = { deploymentId: "dep_1", rolledBack: ["dep_2"], state: "live", durationMs: 12 };
  control.fixed.set("POST /api/deploy/rollback", [200, body]);
  const result = await cli(["rollback", "--env", "production"]);
  expect(result).toMatchObject({ code: 0 });
  expect(result.stdout).toContain("dep_1 serves production again, instead of dep_2  12 ms");
  expect(json(await cli(["rollback", "--env", "production", "--json"]))).toEqual(body);
});

test("cancel names what was canceled", async () => {
  await cli(["deploy", "--detach"]);
  expect((await cli(["cancel", "dep_1"])).stdout).toContain("dep_1 is canceled");
});

test("login stores a token that works, for the owner's eyes only, and later commands use it", async () => {
  const env = { XDG_CONFIG_HOME: join(home, "other") };
  const file = join(home, "other/signalbox/credentials.json");
  const wrong = await cli(["login", "--url", control.url, "--token", "wrong"], { env });
  expect(wrong.code).toBe(4);
  expect(await cli(["login", control.url, "--token", TOKEN], { env })).toMatchObject({ code: 0 });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({
    servers: { [control.url]: { token: TOKEN } },
    default: control.url,
  });
  expect((await cli(["list"], { env })).code).toBe(0);
});

test("up stores the owner's token, prints it once, and down says what it stopped", async () => {
  const env = { XDG_CONFIG_HOME: join(home, "third") };
  const processes: Processes = {
    ...noProcesses,
    up: async ({ log }) => {
      log("postgres is up");
      const gatewayUrl = "http://127.0.0.1:8080";
      return {
        url: control.url,
        dockUrl: "http://127.0.0.1:4701",
        gatewayUrl,
        token: TOKEN,
        pids: { control: 7 },
      };
    },
    down: async () => ({ stopped: ["gateway", "control"] }),
  };
  const up = await cli(["up"], { env, processes });
  expect(up.stdout).toContain(TOKEN);
  expect(up.stderr).toContain("postgres is up");
  expect((await cli(["list"], { env })).code).toBe(0);
  expect((await cli(["down"], { env, processes })).stdout).toContain("Stopped gateway, control");
});

test("dock login writes a folder for the official CLI that only its owner reads, and shows no token", async () => {
  const result = await cli(["dock", "login"], { env: { SIGNALBOX_DIR: join(home, "state") } });
  const folder = join(home, "state/vercel-cli");
  expect(result).toMatchObject({ code: 0, stdout: `${folder}\n` });
  expect(result.text).not.toContain("dock_secret");
  const file = (name: string) => join(folder, name);
  expect(JSON.parse(readFileSync(file("config.json"), "utf8"))).toEqual({ api: "http://127.0.0.1:4701" });
  expect(JSON.parse(readFileSync(file("auth.json"), "utf8"))).toEqual({ token: "dock_secret" });
  expect(statSync(file("auth.json")).mode & 0o777).toBe(0o600);
});

test("doctor marks what is well and says what to do about the rest", async () => {
  const ports = { SIGNALBOX_DOCK_PORT: "1", SIGNALBOX_GATEWAY_PORT: new URL(control.url).port };
  const env = { SIGNALBOX_URL: control.url, SIGNALBOX_TOKEN: TOKEN, ...ports };
  const result = await cli(["doctor"], { env });
  expect(result.code).toBe(1);
  expect(result.stdout).toMatch(/✓ token +accepted/);
  expect(result.stdout).toMatch(/✓ database +ok/);
  expect(result.stdout).toMatch(/✗ dock port +nothing answers at 127.0.0.1:1[\s\S]*→ Start what is missing/);
  const report = json(await cli(["doctor", "--json"], { env }));
  expect(report).toMatchObject({ ok: false, url: control.url });
});

test("doctor names the part that is not ready", async () => {
  const checks = {
    database: { ok: true, latencyMs: 1 },
    dock: { ok: false, latencyMs: 1, error: "refused" },
  };
  control.fixed.set("GET /api/health/ready", [503, { status: "not_ready", checks }]);
  expect((await cli(["doctor"])).stdout).toMatch(/✗ dock +refused\n +→ Look into the log of dock/);
});

test("gateway reload asks the gateway by its socket and tells how many workers were replaced", async () => {
  const dir = mkdtempSync(join(home, "dir-"));
  mkdirSync(join(dir, "run"));
  const gateway = createServer((request, response) =>
    response.end(JSON.stringify({ workers: request.method === "POST" && request.url === "/reload" ? 2 : 0 })),
  );
  await new Promise<void>((resolve) => gateway.listen(join(dir, "run/gateway.sock"), resolve));
  const result = await cli(["gateway", "reload"], { env: { SIGNALBOX_DIR: dir } });
  gateway.close();
  expect(result).toMatchObject({ code: 0, stdout: "✓ 2 gateway workers replaced.\n" });
});

test("gateway reload without a gateway says where to run it, exit 3", async () => {
  const result = await cli(["gateway", "reload"]);
  expect(result.code).toBe(3);
  expect(result.stderr).toContain("No gateway");
});

test("help names every command and exit code, and nothing unknown passes", async () => {
  const help = await cli(["help"]);
  for (const word of ["deploy", "rollback", "gateway reload", "SIGNALBOX_TOKEN", "130"]) {
    expect(help.stdout).toContain(word);
  }
  expect((await cli(["deploy", "--help"])).stdout).toContain("--branch <name>");
  expect((await cli(["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+/);
  const typo = await cli(["deplyo"]);
  expect(typo).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("Did you mean `signalbox deploy`?"),
  });
});

test("on a terminal the moving line is cleared and ends with a line's end", async () => {
  const result = await cli(["deploy"], { isTTY: true });
  expect(result.stderr).toContain("\r\u001b[2K");
  expect(result.stderr.endsWith("\n")).toBe(true);
});
