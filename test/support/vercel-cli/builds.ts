import { expect } from "vitest";
import { json } from "./account.ts";
import { hostOf } from "./releases.ts";
import { may, must, type Scene, type Story } from "./story.ts";

/** Prints its variables at the build and in the answer, and a line for each request. */
const APP = {
  "package.json": JSON.stringify({
    name: "kitchen",
    scripts: { build: "echo the build sees $AT_BUILD", start: "node server.js" },
  }),
  "server.js": `require("node:http").createServer((request, response) => {
    console.log("plain line of " + request.url);
    const at = { signalbox: "runtime", at: Date.now(), requestId: "req-" + request.url.slice(1) };
    const of = { method: request.method, host: request.headers.host, path: request.url };
    const [level, status] = request.url === "/boom" ? ["error", 500] : ["info", 200];
    const message = "line of " + request.url;
    console.log(JSON.stringify({ ...at, level, source: "serverless", ...of, status, message }));
    response.statusCode = status;
    const secret = request.headers.authorization ?? "";
    response.end(process.env.AT_RUN + " " + process.env.AT_BUILD + " " + secret);
  }).listen(3000);`,
};

/** Where the app is deployed before the stories begin, so that its cron jobs are known to the dock. */
export async function deployKitchen(scene: Pick<Scene, "stand" | "run">): Promise<void> {
  const cwd = await scene.stand.directory("builds", APP);
  await scene.stand.link(cwd, "kitchen");
  const ran = await scene.run("deploy --prod --yes --env AT_RUN=salt --build-env AT_BUILD=pepper", { cwd });
  expect(ran.code, ran.stderr).toBe(0);
  expect(ran.stderr).toContain("the build sees pepper");
}

/** Builds, processes, their logs and their cron jobs. */
export const buildsStory: Story = {
  name: "builds",
  cases: [
    must("vercel deploy (a build) --env --build-env", async ({ stand }) => {
      // A build's variable is not one of the process.
      const { text } = await stand.platform.visit("kitchen.localhost");
      expect(text).toBe("salt undefined ");
    }),
    must("vercel deploy (a failing build)", async (scene) => {
      const cwd = await scene.stand.directory("burnt", {
        "package.json": JSON.stringify({ scripts: { build: "echo it burns && exit 3" } }),
      });
      await scene.stand.link(cwd, "burnt");
      const ran = await scene.run("deploy --yes", { cwd });
      expect(ran.code).toBe(1);
      expect(ran.stderr).toMatch(/it burns[\s\S]*exit(ed with|s with)? (code|status)? ?3|code 3/);
      const { deployments } = await json(scene.stand, "/v6/deployments?app=burnt");
      expect(deployments[0]).toMatchObject({ state: "ERROR", errorCode: "BUILD_FAILED" });
    }),
    must("vercel inspect --wait (a failed one)", async ({ run, stand }) => {
      const { deployments } = await json(stand, "/v6/deployments?app=burnt");
      const ran = await run(`inspect ${deployments[0].url} --wait --logs`);
      expect(ran.code).toBe(1);
      expect(ran.stderr).toContain("it burns");
    }),
    must("vercel deploy --force", async (scene) => {
      const cwd = await scene.stand.directory("plain", { "index.html": "plain" });
      await scene.stand.link(cwd, "plain");
      const first = hostOf((await scene.run("deploy --yes", { cwd })).stdout);
      const forced = hostOf((await scene.run("deploy --yes --force", { cwd })).stdout);
      expect((await json(scene.stand, `/v13/deployments/${forced}`)).dock.reused).toBe(false);
      expect(forced).not.toBe(first);
    }),
    must("vercel deploy --no-wait", async (scene) => {
      const cwd = await scene.stand.directory("plain", { "index.html": "later" });
      const ran = await scene.run("deploy --yes --no-wait", { cwd });
      expect(ran.code, ran.stderr).toBe(0);
      const host = hostOf(ran.stdout);
      expect((await scene.run(`inspect ${host} --wait`)).stderr).toContain("Ready");
      expect((await scene.stand.platform.visit(host)).text).toBe("later");
    }),
    must("vercel deploy --target=<custom environment>", async (scene) => {
      const path = "/v9/projects/plain/custom-environments";
      const body = JSON.stringify({ slug: "staging" });
      await scene.stand.platform.fetch(path, { method: "POST", body });
      const ran = await scene.run("deploy --yes --target=staging", {
        cwd: await scene.stand.directory("plain"),
      });
      expect(ran.code, ran.stderr).toBe(0);
      expect((await scene.stand.platform.visit("plain-staging.localhost")).text).toBe("later");
    }),
    must("vercel deploy (VERCEL_ORG_ID, VERCEL_PROJECT_ID)", async (scene) => {
      const cwd = await scene.stand.directory("unlinked", { "index.html": "unlinked" });
      const { id, accountId } = await json(scene.stand, "/v9/projects/plain");
      const env = { VERCEL_ORG_ID: accountId, VERCEL_PROJECT_ID: id };
      const ran = await scene.run("deploy --yes", { cwd, env, flagFree: true });
      expect(ran.code, ran.stderr).toBe(0);
      expect(hostOf(ran.stdout)).toMatch(/^plain-/);
    }),
    must("vercel deploy --prebuilt", async (scene) => {
      const cwd = await scene.stand.directory("prebuilt", {
        ".vercel/output/config.json": JSON.stringify({
          version: 3,
          routes: [{ src: "/old", status: 308, headers: { Location: "/new" } }],
        }),
        ".vercel/output/static/index.html": "built elsewhere",
      });
      await scene.stand.link(cwd, "prebuilt");
      const ran = await scene.run("deploy --prebuilt --yes", { cwd });
      expect(ran.code, ran.stderr).toBe(0);
      const host = hostOf(ran.stdout);
      expect((await scene.stand.platform.visit(host)).text).toBe("built elsewhere");
      expect((await scene.stand.platform.visit(host, "/old")).status).toBe(308);
    }),
    may(
      "vercel deploy --archive=tgz",
      async (scene) => {
        const cwd = await scene.stand.directory("archive", {
          "index.html": "from an archive",
          "deep/page.html": "deep",
        });
        await scene.stand.link(cwd, "archive");
        const ran = await scene.run("deploy --yes --archive=tgz", { cwd });
        expect(ran.code, ran.stderr).toBe(0);
        const host = hostOf(ran.stdout);
        expect((await scene.stand.platform.visit(host, "/deep/page.html")).text).toBe("deep");
      },
      { note: "archives are not unpacked; deploy without the flag" },
    ),
    ...logCases(),
    ...cronCases(),
    may(
      "vercel curl",
      async ({ run }) => {
        expect((await run("curl / --deployment kitchen.localhost")).code).toBe(0);
      },
      { note: "the CLI asks `https://` of the host on port 443; ask the gateway with curl" },
    ),
  ],
};

function logCases() {
  return [
    must("vercel logs", async ({ run, stand }) => {
      await stand.platform.visit("kitchen.localhost", "/soup");
      await stand.platform.visit("kitchen.localhost", "/boom");
      const ran = await run("logs");
      expect(ran.code, ran.stderr).toBe(0);
      expect(ran.stderr + ran.stdout).toMatch(/GET \/soup[\s\S]*line of \/soup/);
      expect(ran.stderr + ran.stdout).toContain("plain line of /soup");
    }),
    must("vercel logs --json --query --level --status-code", async ({ run }) => {
      const found = lines((await run("logs --json --query soup --limit 10")).stdout);
      expect(found.map((one) => one.message)).toContain("line of /soup");
      expect(found.map((one) => one.message)).not.toContain("line of /boom");
      const bad = lines(
        (await run("logs --json --level error --status-code 5xx --environment production")).stdout,
      );
      expect(bad).toMatchObject([{ requestPath: "/boom", responseStatusCode: 500, level: "error" }]);
    }),
    must("vercel logs --follow", async ({ stand, noteRan }) => {
      const cwd = await stand.directory("builds");
      const args = ["logs", "--follow", "--json", "--project", "kitchen"];
      const ran = await stand.whileRunning(args, { cwd }, async (live) => {
        await live.asked(/runtime-logs/);
        await stand.platform.visit("kitchen.localhost", "/fresh");
        // Quoted: the plain line, which comes first, ends in the same words.
        await live.printed(/"line of \/fresh"/);
      });
      noteRan(ran);
      const [line] = lines(ran.stdout).filter((one) => one.message === "line of /fresh");
      expect(line).toMatchObject({ requestMethod: "GET", requestPath: "/fresh", responseStatusCode: 200 });
    }),
  ];
}

function cronCases() {
  return [
    must("vercel crons ls", async ({ run }) => {
      const ran = await run("crons ls --project kitchen --format json");
      expect(ran.code, ran.stderr).toBe(0);
      const job = { path: "/tidy-up", schedule: "0 4 * * 1-5", host: "kitchen.localhost" };
      expect(JSON.parse(ran.stdout)).toMatchObject({ enabled: true, crons: [job] });
    }),
    must("vercel crons run", async ({ stand, run, noteRan }) => {
      const cwd = await stand.directory("builds");
      const follow = ["logs", "--follow", "--json", "--project", "kitchen"];
      const watched = await stand.whileRunning(follow, { cwd }, async (live) => {
        await live.asked(/runtime-logs/);
        const ran = await run("crons run /tidy-up --project kitchen");
        expect(ran.code, ran.stderr).toBe(0);
        await live.printed(/The cron job \/tidy-up/);
      });
      noteRan(watched);
      expect(watched.stdout).toMatch(/answered 200/);
    }),
  ];
}

// biome-ignore lint/suspicious/noExplicitAny: lines are read as the CLI prints them
function lines(text: string): any[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
}
