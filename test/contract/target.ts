import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomText } from "../../src/foundation/ids.ts";
import type { BuildInput, Place, Target } from "../../src/targets/target.ts";

/** What a suite needs to run: a target, and a visitor's view of it. */
export type TargetUnderTest = {
  readonly target: Target;
  /** What a visitor of this host gets, and the cookie that they are given (`name=value`). */
  visit(
    host: string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<{ status: number; text: string; cookie?: string }>;
  close(): Promise<void>;
};

const sha1 = (text: string) => createHash("sha1").update(text).digest("hex");
const signal = AbortSignal.timeout(300_000);

let under: TargetUnderTest;

/** What every implementation of the port `Target` must hold, over the real platform. One to a test file. */
export function targetContract(name: string, start: () => Promise<TargetUnderTest>): void {
  describe(`the target "${name}"`, () => {
    beforeAll(async () => {
      under = await start();
    });
    afterAll(() => under.close());
    describe("accepts a project, its files and its builds", filesAndKeys);
    describe("moves all traffic", wholeShifts);
    describe("splits traffic, and serves other environments", splits);
    describe("keeps visitors waiting", holds);
    describe("keeps visitors where they are, and takes hosts away", drainsAndLeaving);
    describe("builds, ends builds and lets releases go", buildsAndReleases);
  });
}

function filesAndKeys(): void {
  it("makes a project once, whatever the number of calls", async () => {
    const project = `shop-${randomText(8)}`;
    const ids = await Promise.all([1, 2, 3].map(() => under.target.ensureProject(project, signal)));
    expect(new Set(ids.map(({ targetProjectId }) => targetProjectId)).size).toBe(1);
  });

  it("names the files that it does not have, and builds once it has them", async () => {
    const place = await newPlace("production");
    const content = `hello ${randomText(8)}`;
    const input = inputFor(place, content);
    expect(await under.target.build(input, signal)).toEqual({
      kind: "missing_files",
      missing: [sha1(content)],
    });
    await send(content);
    await send(content);
    expect(await under.target.build(input, signal)).toMatchObject({ kind: "accepted" });
  });

  it("refuses content of another digest", async () => {
    const body = Readable.from([Buffer.from("abc")]);
    const upload = under.target.upload({ sha1: sha1("xyz"), size: 3, body }, signal);
    await expect(upload).rejects.toMatchObject({ code: "unprocessable" });
  });

  it("gives the same deployment for the same key, and another for another", async () => {
    const place = await newPlace("preview", "main");
    await send("same key");
    const input = inputFor(place, "same key");
    const id = await start0(input);
    expect(await start0(input)).toBe(id);
    expect(await start0({ ...input, key: `other-${randomText(6)}` })).not.toBe(id);
  });
}

function wholeShifts(): void {
  it("builds for production without giving traffic, until it is asked to", async () => {
    const place = await newPlace("production");
    const first = await built(place, `first ${place.project}`);
    expect(await under.target.traffic(place, signal)).toEqual({});
    expect(await shift(place, null, first)).toBe("done");
    expect(await under.target.traffic(place, signal)).toEqual({ [first]: 100 });
    expect((await under.visit(mainHost(place))).text).toBe(`first ${place.project}`);
    const second = await built(place, `second ${place.project}`);
    expect(await under.target.traffic(place, signal)).toEqual({ [first]: 100 });
    expect(await shift(place, first, second)).toBe("done");
    expect(await shift(place, first, second)).toBe("done");
    expect((await under.visit(mainHost(place))).text).toBe(`second ${place.project}`);
  });

  it("takes all traffic back at once, twice as well, and shifts forward again afterwards", async () => {
    const place = await newPlace("production");
    const first = await built(place, `one ${place.project}`);
    await shift(place, null, first);
    const second = await built(place, `two ${place.project}`);
    await shift(place, first, second);
    await under.target.rollback({ place, from: second, to: first }, signal);
    expect(await under.target.traffic(place, signal)).toEqual({ [first]: 100 });
    expect((await under.visit(mainHost(place))).text).toBe(`one ${place.project}`);
    await under.target.rollback({ place, from: second, to: first }, signal);
    const third = await built(place, `three ${place.project}`);
    expect(await under.target.traffic(place, signal)).toEqual({ [first]: 100 });
    await shift(place, first, third);
    expect((await under.visit(mainHost(place))).text).toBe(`three ${place.project}`);
  });
}

function splits(): void {
  it("splits production by weight, step by step, and each step may be repeated", async () => {
    const place = await newPlace("production");
    const old = await built(place, `old ${place.project}`);
    await shift(place, null, old);
    const next = await built(place, `next ${place.project}`);
    const steps = [10, 50, 100];
    for (const weight of [10, 10, 50, 50]) {
      expect(await shift(place, old, next, weight, steps)).toBe("done");
      expect(await under.target.traffic(place, signal)).toEqual({ [old]: 100 - weight, [next]: weight });
    }
    expect(await shift(place, old, next, 100, steps)).toBe("done");
    expect(await shift(place, old, next, 100, steps)).toBe("done");
    expect(await under.target.traffic(place, signal)).toEqual({ [next]: 100 });
  });

  it("starts a split at weight 0: nobody sees the canary but who asks for it", async () => {
    const place = await newPlace("production");
    const old = await built(place, `old ${place.project}`);
    await shift(place, null, old);
    const next = await built(place, `next ${place.project}`);
    const steps = [0, 10, 100];
    for (let i = 0; i < 2; i++) {
      expect(await shift(place, old, next, 0, steps)).toBe("done");
      expect(await under.target.traffic(place, signal)).toEqual({ [old]: 100, [next]: 0 });
    }
    expect((await under.visit(mainHost(place))).text).toBe(`old ${place.project}`);
    const asking = { "x-signalbox-canary": "always" };
    expect((await under.visit(mainHost(place), asking)).text).toBe(`next ${place.project}`);
    expect(await shift(place, old, next, 10, steps)).toBe("done");
    expect(await shift(place, old, next, 100, steps)).toBe("done");
    expect((await under.visit(mainHost(place))).text).toBe(`next ${place.project}`);
  });

  it("rolls back in the middle of a split, and a new release can be split afterwards", async () => {
    const place = await newPlace("production");
    const old = await built(place, `old ${place.project}`);
    await shift(place, null, old);
    const bad = await built(place, `bad ${place.project}`);
    await shift(place, old, bad, 20, [20, 100]);
    await under.target.rollback({ place, from: bad, to: old }, signal);
    expect(await under.target.traffic(place, signal)).toEqual({ [old]: 100 });
    const good = await built(place, `good ${place.project}`);
    expect(await shift(place, old, good, 40, [40, 100])).toBe("done");
    expect(await under.target.traffic(place, signal)).toEqual({ [old]: 60, [good]: 40 });
  });

  it.each([
    "staging",
    "preview",
  ] as const)("serves %s by its own host, and does not split it", async (environment) => {
    const place = await newPlace(environment, environment === "preview" ? "Feature/Über_1" : "main");
    const first = await built(place, `first ${place.project}`);
    expect(await shift(place, null, first)).toBe("done");
    const second = await built(place, `second ${place.project}`);
    expect(await shift(place, first, second, 50, [50, 100])).toBe("unsupported");
    expect(await shift(place, first, second)).toBe("done");
    expect(await under.target.traffic(place, signal)).toEqual({ [second]: 100 });
    expect((await under.visit(mainHost(place))).text).toBe(`second ${place.project}`);
    await under.target.rollback({ place, from: second, to: first }, signal);
    expect((await under.visit(mainHost(place))).text).toBe(`first ${place.project}`);
  });
}

function holds(): void {
  const limits = { maxMs: 30_000, maxRequests: 3 };

  it("lets requests wait and answers them afterwards; none fails but those beyond the limit", async () => {
    const place = await newPlace("production");
    const first = await built(place, `first ${place.project}`);
    await shift(place, null, first);
    expect(await under.target.hold(place, limits, signal)).toEqual({ inFlight: 0 });
    expect(await under.target.hold(place, limits, signal)).toEqual({ inFlight: 0 });
    let answered = 0;
    const visit = async () => {
      const answer = await under.visit(mainHost(place));
      answered++;
      return answer;
    };
    const visits = [1, 2, 3, 4].map(visit);
    expect((await Promise.race(visits)).status).toBe(503);
    const { url } = await under.target.observe(first, signal);
    expect((await under.visit(new URL(url).hostname)).status).toBe(200);
    expect(answered).toBe(1);
    await under.target.unhold(place, signal);
    await under.target.unhold(place, signal);
    const statuses = (await Promise.all(visits)).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 200, 200, 503]);
    expect((await under.visit(mainHost(place))).status).toBe(200);
  });

  it("a hold that nobody lifts ends by itself, and one of nothing holds nothing", async () => {
    const place = await newPlace("preview", "held");
    expect(await under.target.hold(place, limits, signal)).toEqual({ inFlight: 0 });
    await shift(place, null, await built(place, `held ${place.project}`));
    expect((await under.visit(mainHost(place))).status).toBe(200);
    await under.target.hold(place, { maxMs: 300, maxRequests: 3 }, signal);
    expect((await under.visit(mainHost(place))).status).toBe(503);
    expect((await under.visit(mainHost(place))).status).toBe(200);
  });
}

function drainsAndLeaving(): void {
  it("keeps visitors at the release whose cookie they have, and a rollback keeps nobody", async () => {
    const place = await newPlace("production");
    const drain = (from: string | null, to: string) =>
      under.target.shift({ place, from, to, weight: 100, steps: [100], drainMs: 600_000 }, signal);
    const old = await built(place, `old ${place.project}`);
    await drain(null, old);
    const { cookie = "" } = await under.visit(mainHost(place));
    const next = await built(place, `next ${place.project}`);
    await drain(old, next);
    expect(await under.target.traffic(place, signal)).toEqual({ [next]: 100 });
    expect((await under.visit(mainHost(place), { cookie })).text).toBe(`old ${place.project}`);
    const newcomer = await under.visit(mainHost(place));
    expect(newcomer.text).toBe(`next ${place.project}`);
    await under.target.rollback({ place, from: next, to: old }, signal);
    const back = await under.visit(mainHost(place), { cookie: newcomer.cookie ?? "" });
    expect(back.text).toBe(`old ${place.project}`);
  });

  it("takes a preview's host away, twice as well, and never production's", async () => {
    const place: Place = { ...(await newPlace("preview", "feature")), pullRequest: 7 };
    expect(mainHost(place)).toMatch(new RegExp(`^${place.project}-pr-7\\.`));
    const id = await built(place, `preview ${place.project}`);
    // The host that a preview gets by itself is the one that the place names, and the branch has none.
    expect(await under.target.traffic(place, signal)).toEqual({ [id]: 100 });
    expect((await under.visit(mainHost(place))).text).toBe(`preview ${place.project}`);
    expect((await under.visit(mainHost({ ...place, pullRequest: null }))).status).toBe(404);
    await under.target.vacate(place, signal);
    await under.target.vacate(place, signal);
    expect(await under.target.traffic(place, signal)).toEqual({});
    expect((await under.visit(mainHost(place))).status).toBe(404);
    await expect(under.target.vacate({ ...place, environment: "production" }, signal)).rejects.toMatchObject({
      code: "unprocessable",
    });
  });
}

function buildsAndReleases(): void {
  it("tells a build's log, and how it failed", async () => {
    const place = await newPlace("production");
    const packageJson = JSON.stringify({ name: "x", scripts: { build: "echo out; echo err >&2; exit 3" } });
    await send(packageJson);
    const files = [
      { path: "package.json", sha1: sha1(packageJson), size: packageJson.length, mode: 0o100644 },
    ];
    const settings = {
      installCommand: "",
      buildCommand: "echo out; echo err >&2; exit 3",
      outputDirectory: "dist",
    };
    const id = await start0(inputFor(place, packageJson, { files, settings }));
    const lines: string[] = [];
    for await (const line of under.target.logs(id, signal)) lines.push(line.text);
    expect(lines).toEqual(expect.arrayContaining(["out", "err"]));
    const seen = await under.target.observe(id, signal);
    expect(seen.state).toBe("error");
    expect(seen.error?.message).not.toBe("");
  });

  it("ends a build that runs, and does not mind one that has ended", async () => {
    const place = await newPlace("preview", "slow");
    const packageJson = JSON.stringify({ name: "slow", private: true });
    await send(packageJson);
    const files = [
      { path: "package.json", sha1: sha1(packageJson), size: packageJson.length, mode: 0o100644 },
    ];
    const settings = { installCommand: "", buildCommand: "echo begun; sleep 300", outputDirectory: "dist" };
    const id = await start0(inputFor(place, packageJson, { files, settings }));
    for await (const line of under.target.logs(id, signal)) {
      if (line.text === "begun") await under.target.cancel(id, signal);
    }
    expect(await under.target.observe(id, signal)).toMatchObject({ state: "canceled" });
    await under.target.cancel(id, signal);
  });

  it("reuses what was built of the same tree, and tells so", async () => {
    const place = await newPlace("production");
    const content = `reused ${place.project}`;
    await built(place, content);
    const again = await start0(inputFor(place, content));
    for await (const _line of under.target.logs(again, signal));
    expect(await under.target.observe(again, signal)).toMatchObject({
      state: "ready",
      reused: true,
      kind: "static",
    });
  });

  it("lets a release go, twice as well, and not one that serves", async () => {
    const place = await newPlace("production");
    const first = await built(place, `keep ${place.project}`);
    await shift(place, null, first);
    const second = await built(place, `drop ${place.project}`);
    await under.target.retire(second, signal);
    await under.target.retire(second, signal);
    await expect(under.target.observe(second, signal)).rejects.toMatchObject({ code: "not_found" });
    await under.target.retire(first, signal);
    expect((await under.visit(mainHost(place))).text).toBe(`keep ${place.project}`);
  });

  it("answers `not_found` for a deployment that it does not have, and stops when it is canceled", async () => {
    await expect(under.target.observe("dpl_nothing", signal)).rejects.toMatchObject({ code: "not_found" });
    await expect(under.target.observe("dpl_nothing", AbortSignal.abort())).rejects.toMatchObject({
      code: "canceled",
    });
  });
}

/** A project of its own for each test, so that they do not meet. */
async function newPlace(environment: Place["environment"], branch: string | null = null): Promise<Place> {
  const project = `shop-${randomText(8)}`;
  const { targetProjectId } = await under.target.ensureProject(project, signal);
  return { project, targetProjectId, environment, branch };
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

async function send(content: string) {
  const body = Readable.from([Buffer.from(content)]);
  await under.target.upload({ sha1: sha1(content), size: content.length, body }, signal);
}

async function start0(input: BuildInput): Promise<string> {
  const answer = await under.target.build(input, signal);
  if (answer.kind !== "accepted") throw new Error(`missing ${answer.missing.join(", ")}`);
  return answer.targetDeploymentId;
}

/** Built and ready: the log ends when the build does. */
async function built(place: Place, content: string, more: Partial<BuildInput> = {}): Promise<string> {
  await send(content);
  const id = await start0(inputFor(place, content, more));
  for await (const _line of under.target.logs(id, signal));
  expect(await under.target.observe(id, signal)).toMatchObject({ state: "ready", error: null });
  return id;
}

const mainHost = (place: Place) => under.target.hosts(place)[0] ?? "";
const shift = (place: Place, from: string | null, to: string, weight = 100, steps: number[] = [100]) =>
  under.target.shift({ place, from, to, weight, steps }, signal);
