import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { inspect } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Clock, systemClock } from "../../src/foundation/clock.ts";
import { randomText } from "../../src/foundation/ids.ts";
import { createVercelTarget, type VercelTarget } from "../../src/providers/target/vercel.ts";
import { forgetfulMemory, type VercelMemory } from "../../src/providers/target/vercel-memory.ts";
import type { BuildInput, Place } from "../../src/targets/target.ts";
import { type DockPlatform, startPlatform, TOKEN } from "../support/dock-platform.ts";
import { type FaultyVercel, startFaultyVercel } from "../support/faulty-vercel.ts";

/**
 * The target against the real Vercel's faults and semantics: a proxy in front of the dock has both. Waiting is skipped,
 * so that what it is waited for has to happen by itself.
 */
let dock: DockPlatform;
let vercel: FaultyVercel;
let target: VercelTarget;
let memory: VercelMemory;
let slept: number[];
const signal = AbortSignal.timeout(600_000);
const sha1 = (text: string) => createHash("sha1").update(text).digest("hex");
let movedMs = 0;
const clock: Clock = {
  ...systemClock,
  monotonicMs: () => systemClock.monotonicMs() + movedMs,
  sleep: (ms, stop) => {
    slept.push(ms);
    return systemClock.sleep(Math.min(ms, 5), stop);
  },
};

beforeAll(async () => {
  dock = await startPlatform();
  vercel = await startFaultyVercel(() => dock.url);
});
afterAll(async () => {
  await vercel.close();
  await dock.close();
});
beforeEach(() => {
  vercel.reset();
  slept = [];
  memory = forgetfulMemory();
  target = restarted();
});

/** As after a crash: only what the memory keeps is left. */
function restarted(token = TOKEN, api = vercel.url): VercelTarget {
  const where = { domain: "vercel.app", publicScheme: "https", publicPort: null } as const;
  return createVercelTarget({ clock, memory, jitter: () => 0 }, { api, token, team: null, ...where });
}

async function newPlace(environment: Place["environment"] = "production"): Promise<Place> {
  const project = `real-${randomText(8)}`;
  const { targetProjectId } = await target.ensureProject(project, signal);
  // What the project's domain is, the real one says.
  vercel.meet(new RegExp(`GET /v9/projects/${targetProjectId}/domains`), {
    kind: "answer",
    status: 200,
    body: { domains: [{ name: `${project}.localhost`, verified: true }] },
  });
  return { project, targetProjectId, environment, branch: "main" };
}

function inputFor(place: Place, content: string, more: Partial<BuildInput> = {}): BuildInput {
  return {
    ...place,
    key: `key-${randomText(10)}`,
    files: [{ path: "index.html", sha1: sha1(content), size: content.length, mode: 0o100644 }],
    settings: {},
    env: {},
    commit: { sha: sha1(content), message: "A commit", dirty: false },
    force: false,
    ...more,
  };
}

async function send(content: string): Promise<void> {
  const body = Readable.from([Buffer.from(content)]);
  await target.upload({ sha1: sha1(content), size: content.length, body }, signal);
}

async function built(place: Place, content = randomBytes(6).toString("hex")): Promise<string> {
  await send(content);
  const answer = await target.build(inputFor(place, content), signal);
  if (answer.kind !== "accepted") throw new Error("files are missing");
  for await (const _line of target.logs(answer.targetDeploymentId, signal));
  expect(await target.observe(answer.targetDeploymentId, signal)).toMatchObject({ state: "ready" });
  return answer.targetDeploymentId;
}

const shift = (place: Place, from: string | null, to: string, weight = 100, steps = [100]) =>
  target.shift({ place, from, to, weight, steps }, signal);

// biome-ignore lint/suspicious/noExplicitAny: the tests assert on the parts that they name
async function read(path: string): Promise<any> {
  return (await dock.fetch(path)).json();
}

async function patch(path: string, body: object): Promise<void> {
  const headers = { "content-type": "application/json" };
  const answer = await dock.fetch(path, { method: "PATCH", body: JSON.stringify(body), headers });
  expect(answer.status).toBe(200);
}

async function autoAssign({ targetProjectId }: Place, set?: boolean): Promise<boolean> {
  const path = `/v9/projects/${targetProjectId}`;
  if (set !== undefined) await patch(path, { autoAssignCustomDomains: set });
  return (await read(path)).autoAssignCustomDomains;
}

async function deploymentsOf({ targetProjectId }: Place): Promise<string[]> {
  const answer = await read(`/v7/deployments?projectId=${targetProjectId}&limit=100`);
  return answer.deployments.map(({ uid }: { uid: string }) => uid);
}

const CREATE = /^POST \/v13\/deployments$/;
const dropped = { kind: "drop", carriedOut: true } as const;

describe("a build whose answer is lost", () => {
  it("is found again by its key, also by a process that knows nothing of it", async () => {
    const place = await newPlace();
    await send("lost");
    const input = inputFor(place, "lost");
    vercel.meet(CREATE, dropped, 1);
    await expect(target.build(input, signal)).rejects.toMatchObject({ code: "unavailable" });
    target = restarted();
    const again = await target.build(input, signal);
    expect(await deploymentsOf(place)).toEqual([again.kind === "accepted" && again.targetDeploymentId]);
  });

  it("is looked for patiently while the list lags, before it is asked for again", async () => {
    const place = await newPlace();
    await send("lag");
    const input = inputFor(place, "lag");
    vercel.meet(CREATE, { kind: "answer", status: 502, body: "<html>bad gateway", carriedOut: true }, 1);
    await expect(target.build(input, signal)).rejects.toMatchObject({ code: "unavailable" });
    const hidden = { kind: "change", change: (body: object) => ({ ...body, deployments: [] }) } as const;
    vercel.meet(/^GET \/v7\/deployments$/, hidden, 3);
    await restarted().build(input, signal);
    expect(await deploymentsOf(place)).toHaveLength(1);
    expect(slept.filter((ms) => ms === 1_500)).toHaveLength(3);
  });

  it("that was made twice after all has its twin ended once it is ready, and the other serves", async () => {
    const place = await newPlace();
    await send("twins");
    const input = inputFor(place, "twins");
    vercel.meet(CREATE, dropped, 1);
    vercel.real.listLags = true;
    await expect(target.build(input, signal)).rejects.toMatchObject({ code: "unavailable" });
    const made = await target.build(input, signal);
    expect(await deploymentsOf(place)).toHaveLength(2);
    vercel.real.listLags = false;
    const id = made.kind === "accepted" ? made.targetDeploymentId : "";
    for await (const _line of target.logs(id, signal));
    expect(await target.observe(id, signal)).toMatchObject({ state: "ready" });
    expect(await deploymentsOf(place)).toEqual([id]);
  });

  it("is not waited for where the platform has refused it: that is certain", async () => {
    const place = await newPlace();
    const content = randomText(12);
    expect(await target.build(inputFor(place, content, { key: "refused" }), signal)).toMatchObject({
      kind: "missing_files",
    });
    await send(content);
    await target.build(inputFor(place, content, { key: "refused" }), signal);
    expect(slept).toEqual([]);
  });
});

describe("who may take domains by themselves", () => {
  it.each([
    true,
    false,
  ])("is as the team had it (%s) after every promotion, which switches it on", async (had) => {
    const place = await newPlace();
    const first = await built(place);
    await autoAssign(place, had);
    await shift(place, null, first);
    expect(await autoAssign(place)).toBe(had);
    const second = await built(place);
    await shift(place, first, second);
    expect(await autoAssign(place)).toBe(had);
    // Off by a rollback, until the next promotion.
    await target.rollback({ place, from: second, to: first }, signal);
    expect(await target.outside.inspect(place, signal)).toMatchObject({
      pinned: true,
      autoAssign: false,
      teamAutoAssign: had,
    });
    const third = await built(place);
    await shift(place, first, third);
    expect(await autoAssign(place)).toBe(had);
    expect(await target.outside.inspect(place, signal)).toMatchObject({ pinned: false });
  });

  it("is put back by whoever looks next, when we died between a promotion and its end", async () => {
    const place = await newPlace();
    const first = await built(place);
    await autoAssign(place, false);
    vercel.meet(/^PATCH \/v9\/projects\//, { kind: "drop", carriedOut: false }, 1);
    await expect(shift(place, null, first)).rejects.toMatchObject({ code: "unavailable" });
    expect(await autoAssign(place)).toBe(true);
    target = restarted();
    await target.outside.tidyUp(place, signal);
    // Somebody may still be at it.
    expect(await autoAssign(place)).toBe(true);
    await memory.write(place.targetProjectId, { restoringSince: new Date(0) });
    await target.outside.tidyUp(place, signal);
    expect(await autoAssign(place)).toBe(false);
    expect((await memory.read(place.targetProjectId)).restoringSince).toBeNull();
  });

  it("is not learnt from a promotion that was interrupted: the next one knows better", async () => {
    const place = await newPlace();
    const first = await built(place);
    await autoAssign(place, false);
    vercel.meet(/^PATCH \/v9\/projects\//, { kind: "drop", carriedOut: false }, 1);
    await expect(shift(place, null, first)).rejects.toMatchObject({ code: "unavailable" });
    target = restarted();
    await shift(place, first, await built(place));
    expect(await autoAssign(place)).toBe(false);
  });

  it("can be given back after a rollback, by hand", async () => {
    const place = await newPlace();
    const [first, second] = [await built(place), await built(place)];
    await shift(place, null, first);
    await shift(place, first, second);
    await target.rollback({ place, from: second, to: first }, signal);
    expect(await target.outside.unpin(place, signal)).toBe("done");
    expect(await autoAssign(place)).toBe(true);
    expect(await target.outside.unpin(place, signal)).toBe("not_pinned");
  });
});

describe("production", () => {
  it("is never given to a preview: Vercel would build it anew", async () => {
    const place = await newPlace();
    const preview = await built({ ...place, environment: "preview" });
    await expect(shift(place, null, preview)).rejects.toMatchObject({
      code: "unprocessable",
      message: expect.stringMatching(/build it anew.*neither instant nor the one that was checked/),
    });
    expect(vercel.asked.filter(({ path }) => path.includes("/promote/"))).toEqual([]);
  });

  it("moves whatever the lost answers, and stays where it is asked to be", async () => {
    const place = await newPlace();
    const [first, second] = [await built(place), await built(place)];
    vercel.meet(/^POST .*\/promote\//, dropped, 1);
    await expect(shift(place, null, first)).rejects.toMatchObject({ code: "unavailable" });
    expect(await shift(place, null, first)).toBe("done");
    await shift(place, first, second);
    vercel.meet(/^POST .*\/rollback\//, dropped, 1);
    const back = () => target.rollback({ place, from: second, to: first }, signal);
    await expect(back()).rejects.toMatchObject({ code: "unavailable" });
    await back();
    expect(await target.traffic(place, signal)).toEqual({ [first]: 100 });
  });

  it("is read although the platform adds states and drops fields, where the SDK's own validation throws", async () => {
    const place = await newPlace();
    const first = await built(place);
    const strange = (body: object) => ({
      ...body,
      nodeVersion: "99.x",
      newThing: { a: 1 },
      lastAliasRequest: 7,
    });
    vercel.meet(/^GET \/v9\/projects\/prj_\w+$/, { kind: "change", change: strange });
    const odd = ({ id, url, target: for_ }: Record<string, unknown>) => ({
      id,
      url,
      target: for_,
      readyState: "POLISHING",
    });
    vercel.meet(/^GET \/v13\/deployments\//, { kind: "change", change: odd });
    expect(await target.observe(first, signal)).toMatchObject({ state: "building" });
    await shift(place, null, first);
    expect(await target.traffic(place, signal)).toEqual({ [first]: 100 });
  });
});

describe("a canary", () => {
  it("takes the plan's percentages, and gives the team its own template back", async () => {
    const place = await newPlace();
    const [old, next] = [await built(place), await built(place)];
    await shift(place, null, old);
    const path = `/v1/projects/${place.targetProjectId}/rolling-release/config`;
    const own = { enabled: true, advancementType: "manual-approval", stages: [30, 100] };
    const stages = own.stages.map((targetPercentage) => ({ targetPercentage }));
    const headers = { "content-type": "application/json" };
    const template = JSON.stringify({ ...own, stages });
    await dock.fetch(path, { method: "PATCH", body: template, headers });
    for (const weight of [5, 40]) {
      expect(await shift(place, old, next, weight, [5, 40, 100])).toBe("done");
      expect(await target.traffic(place, signal)).toEqual({ [old]: 100 - weight, [next]: weight });
    }
    await shift(place, old, next, 100, [5, 40, 100]);
    const after = await read(path);
    expect(
      after.rollingRelease.stages.map((stage: { targetPercentage: number }) => stage.targetPercentage),
    ).toEqual([30, 100]);
    expect(await autoAssign(place)).toBe(true);
  });

  it("that is aborted leaves no template behind, and skew protection as the team had it", async () => {
    const place = await newPlace();
    const [old, next] = [await built(place), await built(place)];
    await shift(place, null, old);
    await shift(place, old, next, 10, [10, 100]);
    // The real one switches it on with the template.
    await patch(`/v9/projects/${place.targetProjectId}`, { skewProtectionMaxAge: 43_200 });
    await target.rollback({ place, from: next, to: old }, signal);
    expect(await target.traffic(place, signal)).toEqual({ [old]: 100 });
    const path = `/v1/projects/${place.targetProjectId}/rolling-release/config`;
    expect((await read(path)).rollingRelease).toBeNull();
    expect((await read(`/v9/projects/${place.targetProjectId}`)).skewProtectionMaxAge ?? 0).toBe(0);
  });

  it("that Vercel makes of a promotion, where the team has a template, is completed at once", async () => {
    const place = await newPlace();
    const [old, next] = [await built(place), await built(place)];
    await shift(place, null, old);
    const path = `/v1/projects/${place.targetProjectId}/rolling-release`;
    const stages = [10, 100].map((targetPercentage) => ({ targetPercentage }));
    await patch(`${path}/config`, { enabled: true, advancementType: "manual-approval", stages });
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ canaryDeploymentId: next });
    const act = () => dock.fetch(`${path}/start`, { method: "POST", headers, body });
    vercel.meet(/^POST .*\/promote\//, { kind: "instead", act, status: 202 });
    expect(await shift(place, old, next)).toBe("done");
    expect(await target.traffic(place, signal)).toEqual({ [next]: 100 });
    expect((await read(`${path}/config`)).rollingRelease).toMatchObject({ enabled: true });
  });

  it("is not possible with a plan that has none, which the target says before it is tried", async () => {
    const place = await newPlace();
    const [old, next] = [await built(place), await built(place)];
    await shift(place, null, old);
    vercel.real.rollingReleases = false;
    expect(await target.abilities(place, signal)).toEqual({ split: false, hold: false });
    expect(await shift(place, old, next, 10, [10, 100])).toBe("unsupported");
    expect(await shift(place, old, next)).toBe("done");
    expect(target.canaryAt("https://shop.example/healthz")).toEqual({
      url: "https://shop.example/healthz?vcrrForceCanary=true",
    });
  });
});

describe("a protected project", () => {
  it("is probed with its own bypass secret, which is made where there is none", async () => {
    const place = await newPlace();
    expect(await target.probeHeaders(place, signal)).toEqual({});
    vercel.real.protection = true;
    target = restarted();
    const made = { "x-vercel-protection-bypass": "a-new-bypass-secret" };
    expect(await target.probeHeaders(place, signal)).toEqual(made);
    expect(await restarted().probeHeaders(place, signal)).toEqual(made);
    expect(vercel.real.bypass).toHaveLength(1);
  });
});

describe("a deployment from Git", () => {
  const platform = { source: "git", keepCache: true, checks: false } as const;

  it("names the repository that the project is connected to, and sends no file", async () => {
    const place = await newPlace();
    vercel.real.link = { type: "github", repoId: 42, org: "acme", repo: "shop" };
    await target.build(inputFor(place, "git", { platform, force: true }), signal);
    expect(vercel.real.gitDeployment).toMatchObject({
      gitSource: { type: "github", repoId: 42, ref: "main", sha: sha1("git") },
      autoAssignCustomDomains: false,
      target: "production",
    });
    expect(vercel.real.gitDeployment).not.toHaveProperty("files");
  });

  it("is refused with a sentence where there is no repository, or no commit", async () => {
    const place = await newPlace();
    const refused = (more: Partial<BuildInput>) =>
      expect(target.build(inputFor(place, "git", { platform, ...more }), signal)).rejects;
    await refused({}).toMatchObject({ message: expect.stringContaining("connected to no repository") });
    const dirty = { sha: "a", message: null, dirty: true };
    await refused({ commit: dirty }).toMatchObject({
      message: expect.stringContaining("differ from the commit"),
    });
  });
});

describe("our check at Vercel", () => {
  it("is registered once, holds domains, and is told our verdict with a link", async () => {
    const platform = { source: "files", keepCache: true, checks: true } as const;
    const project = `checked-${randomText(8)}`;
    const { targetProjectId } = await target.ensureProject(project, signal, platform);
    await restarted().ensureProject(project, signal, platform);
    expect(vercel.real.checks).toMatchObject([{ blocks: "deployment-alias", requires: "deployment-url" }]);
    const verdict = {
      targetDeploymentId: "dpl_x",
      text: "Not healthy: /: status 500.",
      detailsUrl: "https://s/x",
    };
    await target.outside.report(targetProjectId, { ...verdict, state: "running" }, signal);
    await target.outside.report(targetProjectId, { ...verdict, state: "failed" }, signal);
    expect(vercel.real.runs).toMatchObject([
      { checkId: "check_1", status: "completed", conclusion: "failed", externalUrl: "https://s/x" },
    ]);
  });
});

it("our check and our webhook are taken by the dock as well", async () => {
  target = restarted(TOKEN, dock.url);
  const platform = { source: "files", keepCache: true, checks: true } as const;
  const project = `dock-checked-${randomText(8)}`;
  const { targetProjectId } = await target.ensureProject(project, signal, platform);
  await target.ensureProject(project, signal, platform);
  const { checks } = await read(`/v2/projects/${targetProjectId}/checks`);
  expect(checks).toMatchObject([{ blocks: "deployment-alias", requires: "deployment-url" }]);
  const place: Place = { targetProjectId, project, environment: "production", branch: "main" };
  const id = await built(place);
  const verdict = { targetDeploymentId: id, text: "Healthy.", detailsUrl: "https://s/x" };
  await target.outside.report(targetProjectId, { ...verdict, state: "running" }, signal);
  await target.outside.report(targetProjectId, { ...verdict, state: "succeeded" }, signal);
  const { runs } = await read(`/v2/deployments/${id}/check-runs`);
  expect(runs).toMatchObject([{ checkId: checks[0].id, status: "completed", conclusion: "succeeded" }]);
  const hook = { targetProjectIds: [targetProjectId], url: "https://signalbox.example/hook" };
  const made = await target.outside.createWebhook(hook, signal);
  if (made === "unsupported") throw new Error("the dock makes no webhooks");
  expect(made.secret.length).toBeGreaterThan(7);
  await target.outside.deleteWebhook(made.id, signal);
  await target.outside.deleteWebhook(made.id, signal);
});

describe("what is refused or silent beside the move itself", () => {
  const no = { error: { code: "no", message: "No" } };
  const refused = (status: number) => ({ kind: "answer", status, body: no }) as const;

  it("takes no release back: neither a check that cannot be told, nor a setting that is not put back", async () => {
    const place = await newPlace();
    const next = await built(place);
    await autoAssign(place, false);
    await memory.write(place.targetProjectId, { checkId: "check_1" });
    vercel.meet(/check-runs/, refused(400));
    vercel.meet(/^PATCH \/v9\/projects\//, refused(403));
    expect(await shift(place, null, next)).toBe("done");
    expect(await target.traffic(place, signal)).toEqual({ [next]: 100 });
    // The watch goes on trying, and says so.
    expect((await memory.read(place.targetProjectId)).restoringSince).not.toBeNull();
  });

  it("nor the completion of a canary that is complete already; and nothing is put back before the move", async () => {
    const place = await newPlace();
    const [old, next] = [await built(place), await built(place)];
    await shift(place, null, old);
    await autoAssign(place, false);
    await shift(place, old, next, 10, [10, 100]);
    vercel.meet(/^POST .*\/rolling-release\/complete$/, { ...refused(409), carriedOut: true });
    const lagging = { kind: "change", change: (body: object) => ({ ...body, deploymentId: old }) } as const;
    vercel.meet(/^GET .*\/aliases\//, lagging, 4);
    vercel.asked.length = 0;
    expect(await shift(place, old, next)).toBe("done");
    const asked = vercel.asked.map(({ method, path }) => `${method} ${path}`);
    const restored = asked.findIndex((each) => /^PATCH \/v9\/projects\//.test(each));
    expect(asked.slice(0, restored).filter((each) => /^GET .*\/aliases\//.test(each))).toHaveLength(5);
    expect(await autoAssign(place)).toBe(false);
  });

  it("holds no rollback up", async () => {
    const place = await newPlace();
    const [old, next] = [await built(place), await built(place)];
    await shift(place, null, old);
    await shift(place, old, next, 10, [10, 100]);
    vercel.meet(/^DELETE .*\/rolling-release\/config$/, { kind: "delay", ms: 60_000 }, 1);
    await target.rollback({ place, from: next, to: old }, AbortSignal.timeout(20_000));
    expect(await target.traffic(place, signal)).toEqual({ [old]: 100 });
  });

  it("hides no build that is ready", async () => {
    const place = await newPlace();
    const id = await built(place);
    vercel.meet(/^GET \/v7\/deployments$/, refused(403));
    expect(await restarted().observe(id, signal)).toMatchObject({ state: "ready" });
  });

  it("does not pass for a project without a bypass secret", async () => {
    const place = await newPlace();
    vercel.real.protection = true;
    const header = { "x-vercel-protection-bypass": "a-new-bypass-secret" };
    expect(await target.probeHeaders(place, AbortSignal.abort())).toEqual({});
    expect(await target.probeHeaders(place, signal)).toEqual(header);
    target = restarted();
    vercel.meet(new RegExp(`^GET /v9/projects/${place.targetProjectId}$`), refused(503), 4);
    expect(await target.probeHeaders(place, signal)).toEqual({});
    movedMs += 6_000;
    expect(await target.probeHeaders(place, signal)).toEqual(header);
  });
});

it("a run of our check is told once, and one that was begun anew is the one that is told", async () => {
  await memory.write("prj_1", { checkId: "check_1" });
  const failed = { targetDeploymentId: "dpl_y", state: "failed", text: "Down.", detailsUrl: null } as const;
  await target.outside.report("prj_1", failed, signal);
  await target.outside.report("prj_1", failed, signal);
  expect(vercel.asked.filter(({ method }) => method === "PATCH")).toHaveLength(1);
  vercel.real.runs.push({ id: "run_again", checkId: "check_1", deploymentId: "dpl_y", status: "queued" });
  await target.outside.report("prj_1", { ...failed, state: "succeeded" }, signal);
  expect(vercel.real.runs.map(({ conclusion }) => conclusion)).toEqual(["failed", "succeeded"]);
});

it("what others deployed has the address that it is served at, at the dock too", async () => {
  const place = await newPlace();
  const id = await built(place);
  const where = { domain: "localhost", publicScheme: "http", publicPort: 4_777 } as const;
  const atDock = createVercelTarget({ clock, memory }, { api: dock.url, token: TOKEN, team: null, ...where });
  const { deployments } = await atDock.outside.inspect(place, signal);
  expect(deployments[0]?.url).toBe((await atDock.observe(id, signal)).url);
});

describe("an answer that is none", () => {
  const observe = () => target.observe("dpl_1", signal);
  const meet = (status: number, body: unknown, headers = {}) =>
    vercel.meet(/^GET \/v13\/deployments\/dpl_1$/, { kind: "answer", status, body, headers });

  it.each([
    [402, { error: { code: "payment_required", message: "Pay" } }, "unprocessable", /wants a payment/],
    [403, { error: { code: "DEPLOYMENT_DISABLED", message: "Off" } }, "forbidden", /is paused at Vercel/],
    [429, { error: { code: "rate_limited", message: "Slow" } }, "rate_limited", /rate limit is reached/],
    [500, "<!doctype html><h1>Oops", "unavailable", /no JSON.*Request iad1::7/],
  ])("%i has its own sentence and the request's id", async (status, body, code, message) => {
    meet(status, body, { "x-vercel-id": "iad1::7", "retry-after": "600" });
    await expect(observe()).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("a page of a proxy in place of JSON is the platform's fault, with a 200 too", async () => {
    meet(200, "<html>Welcome to the hotel's network", {});
    await expect(observe()).rejects.toMatchObject({ code: "upstream", message: /without a body|without id/ });
  });

  it("gives the inspector's address, where the platform names one", async () => {
    const error = { code: "BAD", message: "No", inspectorUrl: "https://vercel.com/t/p/1" };
    meet(400, { error });
    await expect(observe()).rejects.toMatchObject({ message: expect.stringContaining("vercel.com/t/p/1") });
  });
});

it("no error says the token, whatever the platform, the network or a proxy say", async () => {
  const token = "vcp_SECRET_of_the_operator_0123456789";
  const echo = {
    error: { code: `bad_${token}`, message: `The token "${token}" is invalid`, link: `https://v/?${token}` },
  };
  const place: Place = { targetProjectId: "prj_1", project: "p", environment: "production", branch: null };
  const faults = [
    ...[400, 401, 402, 403, 404, 409, 422, 429, 500, 503].map((status) => ({
      kind: "answer" as const,
      status,
      body: echo,
      headers: { "x-vercel-error": token, "x-vercel-id": token, "retry-after": "900" },
    })),
    { kind: "answer" as const, status: 200, body: `<html>${token}` },
    { kind: "answer" as const, status: 200, body: { id: 7, echo } },
    { kind: "drop" as const, carriedOut: false },
  ];
  for (const fault of faults) {
    vercel.reset();
    vercel.meet(/./, fault);
    target = restarted(token);
    const change = { place, from: "dpl_0", to: "dpl_1" };
    const calls: Promise<unknown>[] = [
      target.ping(signal),
      target.ensureProject("p", signal),
      target.observe("dpl_1", signal),
      target.build(inputFor(place, "x"), signal),
      target.upload({ sha1: sha1("x"), size: 1, body: Readable.from(["x"]) }, signal),
      target.traffic(place, signal),
      target.shift({ ...change, weight: 50, steps: [50, 100] }, signal),
      target.shift({ ...change, weight: 100, steps: [100] }, signal),
      target.rollback(change, signal),
      target.cancel("dpl_1", signal),
      target.retire("dpl_1", signal),
      target.abilities(place, signal),
      target.outside.inspect(place, signal),
      target.outside.createWebhook({ targetProjectIds: ["prj_1"], url: "https://x" }, signal),
      (async () => {
        for await (const _line of target.logs("dpl_1", signal));
      })(),
    ];
    for (const result of await Promise.allSettled(calls)) {
      if (result.status === "fulfilled") continue;
      const shown = inspect(result.reason, { depth: 20, showHidden: true, getters: true });
      expect(shown, inspect(fault)).not.toContain(token);
      expect(JSON.stringify(result.reason)).not.toContain(token);
    }
  }
}, 120_000);
