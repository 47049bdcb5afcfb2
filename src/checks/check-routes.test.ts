import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type CheckStand, checkStand } from "../../test/support/check-stand.ts";
import { aService } from "../../test/support/deployment-row.ts";
import type { Attempt, LocationState } from "./model.ts";

let stand: CheckStand;
let project: string;
let count = 0;
beforeAll(async () => {
  stand = await checkStand();
});
afterAll(() => stand[Symbol.asyncDispose]());
beforeEach(async () => {
  project = `shop${++count}`;
  await stand.makeProject(project);
});

const given = (change: object = {}) => ({
  project,
  environment: "production",
  name: "page",
  type: "http",
  settings: { url: "https://example.com/" },
  ...change,
});
const post = (body: unknown, as: "viewer" | "deployer" | "owner" = "deployer", path = "") =>
  stand.request(as, "POST", `/api/checks${path}`, body);
const audited = (action: string, id: string) =>
  stand.rows("select * from audit_log where action = $1 and subject_id = $2", [action, id]);

async function make(change: object = {}): Promise<string> {
  const made = await post(given(change));
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  return made.body.check.id;
}

async function say(id: string, state: "up" | "down" | "unknown", failure: LocationState["failure"] = null) {
  const now = stand.clock.now();
  await stand.rows("insert into check_locations values ($1, 'local', $2, $3, 12.5, $4)", [
    id,
    JSON.stringify({ state, failure }),
    now,
    state,
  ]);
  await stand.rows("insert into check_states values ($1, $2, $3, $4, null)", [
    id,
    state,
    now,
    JSON.stringify({ state, since: now.getTime(), failure, down: ["local"], reporting: ["local"] }),
  ]);
}

describe("a check made by hand", () => {
  test("is made, seen, changed and taken away, each on record", async () => {
    const id = await make({ critical: true, intervalMs: 2_000 });
    const listed = await stand.request("viewer", "GET", `/api/checks?project=${project}`);
    expect(listed.body.checks).toMatchObject([
      {
        id,
        name: "page",
        subject: "https://example.com/",
        source: "api",
        state: "unknown",
        critical: true,
        lastCheck: null,
        policy: { intervalMs: 2_000, timeoutMs: 2_000, priority: 10 },
      },
    ]);
    const put = { settings: { url: "https://example.com/b" } };
    expect((await stand.request("deployer", "PUT", `/api/checks/${id}`, put)).body.check).toMatchObject({
      id,
      subject: "https://example.com/b",
      critical: false,
    });
    expect((await stand.request("deployer", "DELETE", `/api/checks/${id}`)).status).toBe(204);
    expect((await stand.request("deployer", "DELETE", `/api/checks/${id}`)).status).toBe(404);
    for (const verb of ["create", "update", "delete"])
      expect(await audited(`check.${verb}`, id)).toHaveLength(1);
  });

  test("tells what its failure means and what to do; its history with it", async () => {
    const id = await make();
    await say(id, "down", { class: "refused", message: "Nobody listens at example.com:443." });
    await stand.rows(
      `insert into check_events (check_id, at, written_at, from_state, to_state, failure_class, message)
       values ($1, $2, $2, 'up', 'down', 'refused', 'x')`,
      [id, stand.clock.now()],
    );
    await stand.rows(
      `insert into check_samples (check_id, location, scheduled_at, started_at, late_ms, status)
       select $1, 'local', to_timestamp(n / 1000.0), to_timestamp(0), 0, 'up' from generate_series(1, 2) n`,
      [id],
    );
    const one = await stand.request("viewer", "GET", `/api/checks/${id}`);
    expect(one.body).toMatchObject({
      check: {
        state: "down",
        latencyMs: 12.5,
        failure: { class: "refused" },
        explanation: { means: expect.stringContaining("nothing listens") },
        locations: [{ location: "local", state: "down" }],
      },
      samples: [2, 1].map((n) => ({
        location: "local",
        scheduledAt: new Date(n).toISOString(),
        status: "up",
      })),
      events: [{ check: "page", from: "up", to: "down" }],
    });
    const events = await stand.request("viewer", "GET", `/api/checks/events?project=${project}&limit=1`);
    expect(events.body.events).toHaveLength(1);
  });

  test("is judged again when its policy changes: another place may have no say any more", async () => {
    const id = await make();
    await say(id, "down");
    const put = { settings: { url: "https://example.com/" }, locations: ["local"] };
    expect((await stand.request("deployer", "PUT", `/api/checks/${id}`, put)).status).toBe(200);
    const due = "select from check_states where check_id = $1 and judge_at <= $2";
    expect(await stand.rows(due, [id, stand.clock.now()])).toHaveLength(1);
  });

  test("that runs on the prober's own machine is an owner's", async () => {
    const local = given({ type: "command", settings: { command: ["true"] } });
    expect((await post(local)).status).toBe(403);
    expect((await post(local, "owner")).status).toBe(201);
  });

  test("cannot change what follows a configuration", async () => {
    await stand.goLive(`${project}_1`, project, { services: [aService("app")] });
    await stand.sync();
    const { body } = await stand.request("viewer", "GET", `/api/checks?project=${project}`);
    const path = `/api/checks/${body.checks[0].id}`;
    const put = await stand.request("owner", "PUT", path, { settings: { url: "https://x.example" } });
    expect(put).toMatchObject({
      status: 409,
      body: { error: { hint: expect.stringContaining("app: false") } },
    });
    expect((await stand.request("owner", "DELETE", path)).status).toBe(409);
  });

  test.each([
    ["a viewer", given(), 403, "viewer"],
    ["no JSON", "nonsense", 400],
    ["an unknown type", { type: "htp" }, 400],
    ["an unknown field", { intervall: 5 }, 400],
    ["a name with a space", { name: "a b" }, 400],
    ["settings that the type does not know", { type: "redis", settings: { url: "http://a" } }, 400],
    ["a timeout above the interval", { intervalMs: 1_000, timeoutMs: 2_000 }, 400],
    ["a variable", { settings: { url: { variable: "X" } } }, 400],
    ["itself as its parent", { dependsOn: ["page"] }, 400],
    ["a parent that is not there", { dependsOn: ["nobody"] }, 400],
    ["an interval of a microsecond", { intervalMs: 0.001 }, 400],
  ] as const)("is refused of %s", async (_name, change, status, as?: "viewer") => {
    const body = typeof change === "string" ? change : { ...given(), ...change, project };
    expect((await post(body, as ?? "owner")).status).toBe(status);
  });

  test("is refused where there is one of that name, and of a project that is not there", async () => {
    await make();
    expect((await post(given())).status).toBe(409);
    expect((await post(given({ project: "nobody" }))).status).toBe(404);
  });
});

describe("running checks now", () => {
  async function answer(attempts: Partial<Attempt>[]): Promise<void> {
    const read = () =>
      stand.rows(
        `select r.id from check_requests r join checks c on c.id = r.check_id
         where c.project_id = $1 and answered_at is null`,
        [`prj_${project}`],
      );
    await expect.poll(async () => (await read()).length).toBe(1);
    const [request] = await read();
    const round = {
      attempts: attempts.map((attempt) => ({ startedAt: 1, latencyMs: 3, ...attempt })),
      untrusted: null,
    };
    const set = "update check_requests set answered_at = $1, round = $2 where id = $3";
    await stand.rows(set, [stand.clock.now(), JSON.stringify(round), request?.id]);
  }

  test("answers what the prober found, and that a critical one is down", async () => {
    await make({ critical: true });
    const failure = { class: "timeout", message: "No answer within 5 s." } as const;
    const down: Partial<Attempt> = { status: "down", failure, phases: { dnsMs: 1 } };
    const [run] = await Promise.all([post({ project }, "deployer", "/run"), answer([down, down, down])]);
    expect(run.body).toMatchObject({
      ok: false,
      results: [
        { status: "down", failure, attempts: 3, explanation: { means: "Nothing came back in time." } },
      ],
    });
    expect(await stand.rows("select * from check_requests")).toEqual([]);
    expect(await audited("check.run", `prj_${project}`)).toHaveLength(1);
  });

  test("a failure that the next attempt did not find is none", async () => {
    await make({ critical: true });
    const [run] = await Promise.all([
      post({ project, checks: ["page"] }, "deployer", "/run"),
      answer([{ status: "down", failure: { class: "reset", message: "x" } }, { status: "up" }]),
    ]);
    expect(run.body).toMatchObject({ ok: true, results: [{ status: "up", failure: null }] });
  });

  test("a heartbeat is not asked: what was heard of it counts, and nobody waits for more", async () => {
    const well = await make({ name: "backup", type: "heartbeat", settings: {}, critical: true });
    await say(well, "up");
    await make({ name: "report", type: "heartbeat", settings: {} });
    const { body } = await post({ project }, "deployer", "/run");
    expect(body).toMatchObject({
      ok: true,
      results: [
        { check: { name: "backup" }, status: "up", unanswered: null },
        {
          check: { name: "report" },
          status: "unknown",
          unanswered: expect.stringContaining("not called yet"),
        },
      ],
    });
  });

  test("says who did not answer", async () => {
    await make({ critical: true, intervalMs: 100, timeoutMs: 1 });
    const asked = async () => (await stand.rows("select id from check_requests")).length;
    const [{ body }] = await Promise.all([
      post({ project }, "deployer", "/run"),
      expect
        .poll(asked)
        .toBe(1)
        .then(() => stand.clock.move(10_000)),
    ]);
    expect(body).toMatchObject({ ok: false, results: [{ status: "unknown", attempts: 0 }] });
    expect(body.results[0].unanswered).toContain('no prober at "local"');
  });

  test.each([
    ["a viewer", {}, "viewer", 403],
    ["a check that is not there", { checks: ["nobody"] }, "deployer", 404],
    ["no names", { checks: [] }, "deployer", 400],
    ["an unknown environment", { environment: "prod" }, "deployer", 400],
  ] as const)("is refused of %s", async (_name, change, as, status) => {
    expect((await post({ project, ...change }, as, "/run")).status).toBe(status);
  });
});

test("what is not covered is told with what to do: secrets, networks, probers, silence, age", async () => {
  await stand.goLive(`${project}_1`, project, {
    services: [aService("app"), aService("dark", { urls: [] })],
  });
  stand.plans.set(`${project}_1`, { configured: {}, uses: { browserbase: {}, database: {} }, env: {} });
  await stand.sync();
  const blocked = await make({ name: "private" });
  await say(blocked, "down", { class: "blocked", message: "10.0.0.1 is private." });
  await make({ name: "silent" });
  await make({ name: "nightly", type: "heartbeat", settings: { every: "1h" } });
  const echo = await make({ name: "echo" });
  await say(echo, "unknown", { class: "unsupported", message: "This machine has no program ping." });
  const problems = async () => {
    const { body } = await stand.request("viewer", "GET", `/api/checks/coverage?project=${project}`);
    return body.problems
      .map(({ subject, why }: { subject: string; why: string }) => `${subject}: ${why}`)
      .sort();
  };
  expect(await problems()).toEqual([
    "browserbase: the secret BROWSERBASE_API_KEY is not set. Set it: signalbox secret set BROWSERBASE_API_KEY",
    "dark: the service has no public address",
    "database: services.database names no host",
    "echo: this machine has no program ping",
    "nightly: it has not called yet, so nobody would notice if it never does",
    "private: 10.0.0.1 is private",
    'prober "local": no prober at this location: it has never been seen',
  ]);
  stand.clock.move(200_000);
  expect(await problems()).toEqual(
    expect.arrayContaining(["silent: it has never run", "private: its last word is 3 min old"]),
  );
});
