import { afterAll, beforeAll, expect, test } from "vitest";
import { signalbox } from "../../bench/support/instance.ts";
import { appFiles, begin, makeToken, post, reach, until, whoAnswers } from "../support/app-stand.ts";
import { folderOf, startTestInstance, type TestInstance } from "../support/instance.ts";

let at: TestInstance;
beforeAll(async () => {
  at = await startTestInstance();
});
afterAll(() => at.remove());

const YAML = "environments: { production: { approvals: { required: 1 } } }\n";

test("production asks for an approval: not one's own, but another person's", async () => {
  const dana = await makeToken(at, "dana", "deployer");
  const remy = await makeToken(at, "remy", "deployer");
  await using app = await folderOf(appFiles("asks", YAML, "v1"));
  const asDana = { ...at.environment, SIGNALBOX_TOKEN: dana };
  const command = signalbox(["deploy", app.path, "--env", "production", "--json", "--wait"], {
    environment: asDana,
  });
  const { id } = await until(async () => (await at.api.list("limit=1"))[0]);
  const waiting = await reach(at, id, ({ state }) => state === "awaiting_approval");

  const own = await post(at, `/api/deploy/approve/${id}`, {}, dana);
  expect(own.status).toBe(403);
  expect(own.body.error).toMatchObject({
    message: expect.stringContaining("dana"),
    hint: expect.any(String),
  });
  const digest = waiting.approvalDigest ?? "";
  const other = await post(at, `/api/deploy/approve/${id}`, { digest, comment: "tried it" }, remy);
  expect(other, JSON.stringify(other.body)).toMatchObject({ status: 200 });
  expect(other.body.approvals).toMatchObject([{ actor: "remy", decision: "approve", counts: true }]);
  const ended = await command;
  expect(ended.code, ended.output).toBe(0);
  const live = await reach(at, id, ({ state }) => state === "live");
  expect((await whoAnswers(live.urls[0] ?? "")).version).toBe("v1");
});

test("a lock holds the next one in the queue until it is released; the owner may break the glass", async () => {
  const lock = await post(at, "/api/locks", { environment: "production", reason: "moving the database" });
  expect(lock.status).toBe(201);
  await using app = await folderOf(appFiles("locked", YAML, "v1"));
  const id = await begin(at, app.path);
  const gate = async () => (await at.call(`/api/deploy/approvals/${id}`)).json() as Promise<Gate>;
  // Another place is none of the lock's business: while it goes live, the locked one does not even begin.
  const elsewhere = await at.deploy(app.path, "--env", "staging");
  expect(elsewhere, elsewhere.output).toMatchObject({ state: "live" });
  expect(await gate()).toMatchObject({ state: "queued" });

  expect((await post(at, `/api/locks/${lock.body.lock.id}/release`)).status).toBe(200);
  await reach(at, id, ({ state }) => state === "awaiting_approval");
  expect((await post(at, `/api/deploy/break-glass/${id}`, { reason: "because" })).status).toBe(400);
  const reason = "checkout is down, this is the fix";
  expect((await post(at, `/api/deploy/break-glass/${id}`, { reason })).status).toBe(200);
  await reach(at, id, ({ state }) => state === "live");
  expect((await gate()).breakGlass).toMatchObject({ reason });
});

type Gate = { state: string; verdict: object | null; breakGlass: object | null };
