import Browserbase from "@browserbasehq/sdk";
import { expect, test } from "vitest";
import { browserbaseDouble } from "../../../test/support/browserbase-double.ts";
import { makeCertificates } from "../../../test/support/certificates.ts";
import { freePort, probing, rawServer } from "../../../test/support/probing.ts";
import { browserbase } from "./browserbase.ts";

const SETTINGS = { apiKey: "key_1", projectId: "project_1" };
const failed = (status: string, name: string, message: RegExp) => ({
  status,
  failure: { class: name, message: expect.stringMatching(message) },
});

test("sessions that the official client opens and releases are counted against the concurrency", async () => {
  await using api = await browserbaseDouble({ concurrency: 2 });
  const client = new Browserbase({ apiKey: "key_1", baseURL: api.url, maxRetries: 0 });
  const look = () => probing(browserbase, { ...SETTINGS, url: api.url });
  expect(await look()).toMatchObject({ status: "up", observed: { runningSessions: 0, concurrency: 2 } });
  await api.idle();
  const session = await client.sessions.create({ projectId: "project_1" });
  expect(await look()).toMatchObject({ status: "up", observed: { runningSessions: 1 } });
  await client.sessions.create({ projectId: "project_1" });
  expect(await look()).toMatchObject(failed("degraded", "overloaded", /2 of 2 sessions.*no other/));
  await expect(client.sessions.create({ projectId: "project_1" })).rejects.toMatchObject({ status: 429 });
  await client.sessions.update(session.id, { projectId: "project_1", status: "REQUEST_RELEASE" });
  expect(await look()).toMatchObject({ status: "up", observed: { runningSessions: 1, endedSessions: 1 } });
  const early = await probing(browserbase, { ...SETTINGS, url: api.url, runningWarn: 0.5 });
  expect(early).toMatchObject(failed("degraded", "overloaded", /1 of 2 .*50 % or more/));
});

test("many errors among the last sessions of the project and region are degraded; a few are not", async () => {
  await using api = await browserbaseDouble();
  for (let i = 0; i < 30; i++) api.add({ status: "ERROR" });
  for (let i = 0; i < 6; i++) api.add({ status: i < 2 ? "ERROR" : i < 3 ? "TIMED_OUT" : "COMPLETED" });
  for (let i = 0; i < 9; i++) api.add({ status: "ERROR", projectId: "another" });
  for (let i = 0; i < 4; i++) api.add({ status: "ERROR", region: "eu-central-1" });
  const look = (more: object) => probing(browserbase, { ...SETTINGS, url: api.url, ...more });
  const observed = { endedSessions: 6, errorSessions: 2, timedOutSessions: 1 };
  expect(await look({ sessions: 6, region: "us-west-2" })).toMatchObject({ status: "up", observed });
  expect(await look({ sessions: 7, region: "us-west-2", errorWarn: 0.4 })).toMatchObject(
    failed("degraded", "status", /3 of the last 7 sessions/),
  );
  expect(await look({ region: "eu-central-1" })).toMatchObject({ status: "up" });
  expect(await look({ sessions: 0 })).toMatchObject({ status: "up", observed: { endedSessions: 0 } });
});

test("without a project the only one of the key is meant", async () => {
  await using one = await browserbaseDouble();
  expect(await probing(browserbase, { apiKey: "key_1", url: one.url })).toMatchObject({ status: "up" });
  await using two = await browserbaseDouble({ projects: ["project_1", "project_2"] });
  expect(await probing(browserbase, { apiKey: "key_1", url: two.url })).toMatchObject(
    failed("down", "unsupported", /2 projects.*projectId/),
  );
});

test("a wrong key, an unknown project, limits, errors and nonsense are told apart, each asked once", async () => {
  await using api = await browserbaseDouble();
  const look = (more: object = {}) => probing(browserbase, { ...SETTINGS, url: api.url, ...more });
  const wrong = await look({ apiKey: "secret_2" });
  expect(wrong).toMatchObject(failed("down", "auth", /401/));
  expect(JSON.stringify(wrong)).not.toContain("secret_2");
  await api.idle();
  expect(new Set(api.state.keys)).toEqual(new Set(["secret_2"]));
  expect(api.state.keys.length).toBeLessThanOrEqual(3);
  expect(await look({ projectId: "no/such" })).toMatchObject(
    failed("down", "missing", /no project no\/such/),
  );
  api.state.fail = { status: 429, body: "{}" };
  expect(await look()).toMatchObject(failed("down", "overloaded", /429/));
  api.state.fail = { status: 503, body: "oops" };
  expect(await look()).toMatchObject(failed("down", "status", /503/));
  api.state.fail = { status: 200, body: "<html>" };
  expect(await look()).toMatchObject(failed("down", "protocol", /no JSON/));
  api.state.fail = { status: 200, body: "{}" };
  expect(await look()).toMatchObject(failed("down", "protocol", /not as Browserbase/));
});

test("what goes wrong with the connection has its own class, and the guard is asked", async () => {
  const look = (url: string, options = {}) =>
    probing(browserbase, { ...SETTINGS, url }, { timeoutMs: 150, ...options });
  expect(await look(`http://127.0.0.1:${await freePort()}`)).toMatchObject(
    failed("down", "refused", /listens/),
  );
  await using silent = await rawServer(() => {});
  const url = `http://127.0.0.1:${silent.port}`;
  expect(await look(url)).toMatchObject(failed("down", "timeout", /no answer/));
  await silent.open(0);
  const network = { allowNetworks: [] };
  expect(await look(url, { network })).toMatchObject(failed("down", "blocked", /no public address/));
  const made = await makeCertificates();
  await using secure = await browserbaseDouble({ tls: made.good });
  expect(await look(secure.url, { timeoutMs: 5_000 })).toMatchObject(failed("down", "certificate", /./));
  const trusted = await probing(browserbase, { ...SETTINGS, url: secure.url, ca: made.ca });
  expect(trusted).toMatchObject({ status: "up", phases: { tlsMs: expect.any(Number) } });
});
