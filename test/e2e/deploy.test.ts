import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { folderOf, packageJson, startTestInstance, type TestInstance } from "../support/instance.ts";

let at: TestInstance;
beforeAll(async () => {
  at = await startTestInstance();
});
afterAll(() => at.remove());

const example = (name: string) => resolve("examples", name);

test.for([
  { name: "static", path: "/", text: "<html" },
  { name: "node-http", path: "/", text: "" },
  { name: "build-output", path: "/", text: "<" },
  { name: "express", path: "/", text: "" },
  { name: "hono", path: "/", text: "" },
  { name: "fastify", path: "/", text: "" },
  { name: "vite-react", path: "/", text: '<div id="root">' },
])("without any configuration, $name is built, proven and served on its hosts", async ({
  name,
  path,
  text,
}) => {
  const deployed = await at.deploy(example(name), "--env", "preview", "--project", `zero-${name}`);
  expect(deployed, deployed.output).toMatchObject({ state: "live", code: 0 });
  for (const url of [deployed.url ?? "", ...deployed.urls]) {
    const answer = await at.get(url, path);
    expect(answer.status).toBe(200);
    expect(answer.body).toContain(text);
  }
});

test("the same tree again is reused: nothing is built, nothing is sent", async () => {
  const first = await at.deploy(example("static"), "--env", "production", "--project", "reused");
  const again = await at.deploy(example("static"), "--env", "production", "--project", "reused");
  expect(first).toMatchObject({ state: "live" });
  expect(again).toMatchObject({ state: "live", reused: true });
  const states = (await at.api.list("project=reused")).map((deployment) => deployment.state);
  expect(states).toEqual(["live", "superseded"]);
});

test("production, staging and preview have hosts of their own; a rollback returns the earlier release", async () => {
  await using app = await folderOf({ "index.html": "one" });
  const one = await at.deploy(app.path, "--env", "production", "--project", "shop");
  await app.write({ "index.html": "two" });
  const two = await at.deploy(app.path, "--env", "production", "--project", "shop");
  const staging = await at.deploy(app.path, "--env", "staging", "--project", "shop");
  expect(new URL(two.urls[0] ?? "").hostname).toBe("shop.localhost");
  expect(new URL(staging.urls[0] ?? "").hostname).toBe("shop-staging.localhost");
  const production = () => at.get(two.urls[0] ?? "");
  expect((await production()).body).toBe("two");

  const rolledBack = await at.cli(["rollback", "--env", "production", "--project", "shop", "--json"]);
  expect(rolledBack.code, rolledBack.output).toBe(0);
  expect((await production()).body).toBe("one");
  expect((await at.get(two.url ?? "")).body).toBe("two");
  expect((await at.get(staging.urls[0] ?? "")).body).toBe("two");
  expect((await at.api.status(one.id)).deployment.state).toBe("live");
  expect((await at.api.status(two.id)).deployment.state).toBe("rolled_back");
});

test("an uncommitted tree deploys and is marked dirty; a commit deploys that commit's tree", async () => {
  await using app = await folderOf({ "index.html": "committed" });
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@example.org", ...args], { cwd: app.path });
  git("init", "-q", "-b", "main");
  git("add", ".");
  git("commit", "-qm", "First");
  const clean = await at.deploy(app.path, "--env", "preview", "--project", "gitty");
  expect(clean).toMatchObject({ state: "live", dirty: false, branch: "main", message: "First" });
  expect(new URL(clean.urls[0] ?? "").hostname).toBe("gitty-git-main.localhost");
  await app.write({ "index.html": "changed" });
  const dirty = await at.deploy(app.path, "--env", "preview", "--project", "gitty");
  expect(dirty).toMatchObject({ state: "live", dirty: true });
  expect((await at.get(dirty.urls[0] ?? "")).body).toBe("changed");
  const commit = git("rev-parse", "HEAD").toString().trim();
  const old = await at.deploy(app.path, "--env", "preview", "--project", "gitty", "--commit", commit);
  expect(old).toMatchObject({ state: "live", dirty: false, commit });
  expect((await at.get(old.urls[0] ?? "")).body).toBe("committed");
});

test("a server's process gets its own variables and none of ours", async () => {
  await using app = await folderOf({
    "package.json": packageJson("envs"),
    "signalbox.yaml": "env: { GREETING: hello }\n",
    "server.js": `import http from "node:http";
http.createServer((q, s) => s.end(JSON.stringify(process.env))).listen(process.env.PORT ?? 3000);`,
  });
  const deployed = await at.deploy(app.path, "--env", "preview");
  expect(deployed, deployed.output).toMatchObject({ state: "live" });
  const seen = JSON.parse((await at.get(deployed.urls[0] ?? "")).body);
  expect(seen.GREETING).toBe("hello");
  expect(
    Object.keys(seen).filter((name) => /DATABASE_URL|SIGNALBOX_(TOKEN|DIR|URL)|DOCK/.test(name)),
  ).toEqual([]);
});

test("OpenAPI, liveness and readiness need no token; everything else does", async () => {
  for (const path of ["/api/openapi.json", "/api/health/live", "/api/health/ready"]) {
    expect((await fetch(`${at.url}${path}`)).status, path).toBe(200);
  }
  const openapi = (await (await fetch(`${at.url}/api/openapi.json`)).json()) as { paths: object };
  const paths = Object.keys(openapi.paths);
  expect(paths).toEqual(
    expect.arrayContaining([
      "/api/deploy/trigger",
      "/api/deploy/status/{deploymentId}",
      "/api/deploy/rollback",
    ]),
  );
  for (const headers of [{}, { authorization: "Bearer wrong" }]) {
    const refused = await fetch(`${at.url}/api/deploy/list`, { headers });
    expect(refused.status).toBe(401);
    expect(await refused.json()).toMatchObject({ error: { code: "unauthorized", hint: expect.any(String) } });
  }
});

type Schema = {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly format?: string;
  readonly minLength?: number;
  readonly minimum?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
};
type Operation = {
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
  }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: Schema }> };
};

test("a viewer is refused at every operation of the API that changes anything", async () => {
  const made = await at.call("/api/tokens", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: "a viewer", role: "viewer" }),
  });
  const { token } = (await made.json()) as { token: string };
  const openapi = (await (await at.call("/api/openapi.json")).json()) as {
    paths: Record<string, Record<string, Operation>>;
    components: { schemas: Record<string, Schema> };
  };
  const refused: Record<string, number> = {};
  for (const [path, operations] of Object.entries(openapi.paths)) {
    // Those are proven by their signature, or by tokens of their own.
    if (path.startsWith("/api/webhooks/") || path.startsWith("/api/agent/")) continue;
    for (const [method, operation] of Object.entries(operations)) {
      // A plan changes nothing, and a viewer may make one.
      if (method === "get" || path === "/api/deploy/plan") continue;
      const body = operation.requestBody?.content["application/json"]?.schema;
      const asked = (operation.parameters ?? []).filter(
        (each) => each.required === true && each.in === "query",
      );
      const query = new URLSearchParams(asked.map(({ name }): [string, string] => [name, "10.0.0.0/8"]));
      const named = path.replace("{sha1}", "a".repeat(40)).replaceAll(/\{[^}]+\}/g, "reused");
      const answer = await fetch(`${at.url}${named}?${query}`, {
        method,
        headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
        ...(body ? { body: JSON.stringify(sampleOf(body, openapi.components.schemas)) } : {}),
      });
      refused[`${method} ${path}`] = answer.status;
    }
  }
  expect(Object.keys(refused).length).toBeGreaterThan(20);
  expect(Object.entries(refused).filter(([, status]) => status !== 403)).toEqual([]);
});

/** The least that a schema takes. */
function sampleOf(given: Schema, all: Record<string, Schema>): unknown {
  const schema = given.$ref ? (all[given.$ref.split("/").at(-1) ?? ""] ?? {}) : given;
  const [choice] = schema.anyOf ?? schema.oneOf ?? [];
  if (choice) return sampleOf(choice, all);
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const [type] = [schema.type ?? "object"].flat();
  if (schema.format === "date-time") return new Date().toISOString();
  if (type === "string") return "x".repeat(Math.max(1, schema.minLength ?? 1));
  if (type === "number" || type === "integer") return schema.minimum ?? 1;
  if (type === "boolean") return true;
  if (type === "array") return [sampleOf(schema.items ?? {}, all)];
  const required = (schema.required ?? []).map((name) => {
    return [name, sampleOf(schema.properties?.[name] ?? {}, all)] as const;
  });
  return Object.fromEntries(required);
}

test("what is live is checked, and what its configuration adds; the next release takes it away", async () => {
  await using app = await folderOf({
    "index.html": "one",
    "signalbox.yaml": `environments:
  production: { services: { redis: { url: "redis://cache.example:6379" } } }
`,
  });
  const names = async () => {
    const { stdout } = await at.cli(["checks", "--project", "checked", "--json"]);
    const { checks } = JSON.parse(stdout) as {
      checks: { name: string; environment: string; type: string }[];
    };
    return checks.map(({ environment, name, type }) => `${environment}/${name} ${type}`);
  };
  await at.deploy(app.path, "--env", "production", "--project", "checked");
  await expect.poll(names, { timeout: 10_000 }).toEqual(["production/app http", "production/redis redis"]);
  await app.write({ "signalbox.yaml": "" });
  await at.deploy(app.path, "--env", "production", "--project", "checked");
  await expect.poll(names, { timeout: 10_000 }).toEqual(["production/app http"]);
});
