import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Clock, systemClock } from "../../foundation/clock.ts";
import type { Place } from "../../targets/target.ts";
import { createVercelTarget, type VercelTarget } from "./vercel.ts";

/**
 * Faults and vendor behaviour that a healthy dock does not show: answers are scripted by request, over a real socket.
 * What a deployment needs of the API in earnest is in `test/contract/target-vercel.test.ts`.
 */
type Scripted = { status: number; body?: unknown; headers?: Record<string, string> };
let script: Record<string, Scripted[]> = {};
let seen: { request: string; body: string }[] = [];
let slept: number[] = [];
let server: Server;
let target: VercelTarget;
let start: () => VercelTarget;
const never = new AbortController().signal;
const clock: Clock = { ...systemClock, sleep: async (ms) => void slept.push(ms) };
const place: Place = { targetProjectId: "prj_1", project: "shop", environment: "production", branch: "main" };
const notFound: Scripted = { status: 404, body: { error: { code: "not_found", message: "No." } } };

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://x");
    const key = `${request.method} ${pathname}`;
    seen.push({ request: key, body: await text(request) });
    const answers = script[key] ?? [notFound];
    // The last answer is given again and again.
    const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? notFound;
    response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
    response.end(answer.body === undefined ? "" : JSON.stringify(answer.body));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const options = {
    token: "t",
    team: "team_1",
    domain: "vercel.app",
    publicScheme: "https",
    publicPort: null,
  } as const;
  start = () => createVercelTarget({ clock, jitter: () => 1 }, { api, ...options });
});
afterAll(() => new Promise((closed) => server.close(closed)));
beforeEach(() => {
  // Nothing is remembered from one test to the next.
  target = start();
  script = {};
  seen = [];
  slept = [];
});

const DEPLOYMENT = "GET /v13/deployments/dpl_1";
const ALIAS = "GET /v4/aliases/shop.vercel.app";
const requests = () => seen.map(({ request }) => request);

describe("an answer", () => {
  it("is read although the SDK refuses it: the platform may add states and drop fields", async () => {
    script[DEPLOYMENT] = [
      { status: 200, body: { id: "dpl_1", readyState: "POLISHING", url: "x.vercel.app" } },
    ];
    expect(await target.observe("dpl_1", never)).toMatchObject({
      state: "building",
      url: "https://x.vercel.app",
    });
  });

  it("tells why a build failed", async () => {
    const body = {
      id: "dpl_1",
      readyState: "ERROR",
      errorCode: "BUILD_FAILED",
      errorMessage: "It broke.",
      buildingAt: 5,
    };
    script[DEPLOYMENT] = [{ status: 200, body }];
    expect(await target.observe("dpl_1", never)).toMatchObject({
      state: "error",
      error: { code: "BUILD_FAILED", message: "It broke." },
      buildStartedAt: new Date(5),
    });
  });
});

describe("a fault", () => {
  const ready: Scripted = { status: 200, body: { id: "dpl_1", readyState: "READY", url: "x.vercel.app" } };

  it("of the platform is retried for a read, waiting as long as it asks", async () => {
    script[DEPLOYMENT] = [{ status: 503 }, { status: 429, headers: { "retry-after": "2" } }, ready];
    expect(await target.observe("dpl_1", never)).toMatchObject({ state: "ready" });
    expect(slept).toEqual([200, 2_500]);
  });

  it("that asks for a long wait is left to the caller's schedule", async () => {
    script[DEPLOYMENT] = [{ status: 429, headers: { "retry-after": "600" } }];
    await expect(target.observe("dpl_1", never)).rejects.toMatchObject({
      code: "rate_limited",
      details: { retryAfterMs: 600_000 },
    });
    expect(seen).toHaveLength(1);
  });

  it("of the platform is never retried for a write", async () => {
    script["POST /v1/projects/prj_1/rollback/dpl_0"] = [{ status: 502 }];
    const rollback = target.rollback({ place, from: "dpl_1", to: "dpl_0" }, never);
    await expect(rollback).rejects.toMatchObject({ code: "unavailable" });
    expect(requests().filter((request) => request.startsWith("POST"))).toHaveLength(1);
  });

  it("of ours is told with the vendor's code, status and request id, and not retried", async () => {
    const error = { code: "forbidden", message: "Not allowed" };
    script[DEPLOYMENT] = [{ status: 403, body: { error }, headers: { "x-vercel-id": "iad1::1" } }];
    await expect(target.observe("dpl_1", never)).rejects.toMatchObject({
      code: "forbidden",
      message: expect.stringContaining("Request iad1::1."),
      details: { vendor: "vercel", status: 403, code: "forbidden", requestId: "iad1::1" },
      hint: expect.stringContaining("SIGNALBOX_VERCEL_TOKEN"),
    });
    expect(seen).toHaveLength(1);
  });

  it("of the connection is the platform's", async () => {
    const options = {
      token: "t",
      team: null,
      domain: "localhost",
      publicScheme: "http",
      publicPort: 8080,
    } as const;
    const gone = createVercelTarget({ clock }, { api: "http://127.0.0.1:1", ...options });
    await expect(gone.observe("dpl_1", never)).rejects.toMatchObject({ code: "unavailable" });
    const upload = gone.upload({ sha1: "0".repeat(40), size: 1, body: Readable.from(["x"]) }, never);
    await expect(upload).rejects.toMatchObject({ code: "unavailable" });
  });
});

it("a ping tells whether the API answers this token", async () => {
  script["GET /v2/user"] = [{ status: 200, body: { user: { id: "u" } } }, { status: 403 }];
  await target.ping(never);
  await expect(target.ping(never)).rejects.toMatchObject({ code: "forbidden" });
});

describe("production", () => {
  it("goes back with a single request, once it is known what the team has set", async () => {
    script["GET /v9/projects/prj_1"] = [
      { status: 200, body: { id: "prj_1", autoAssignCustomDomains: true } },
    ];
    script["POST /v1/projects/prj_1/rollback/dpl_0"] = [{ status: 201 }];
    const rollback = "POST /v1/projects/prj_1/rollback/dpl_0";
    await target.rollback({ place, from: "dpl_1", to: "dpl_0" }, never);
    expect(requests()).toEqual(["GET /v9/projects/prj_1", rollback]);
    seen = [];
    await target.rollback({ place, from: "dpl_1", to: "dpl_0" }, never);
    expect(requests()).toEqual([rollback]);
  });

  it("cannot be split where the plan has no rolling releases, nor when nothing serves yet", async () => {
    script[DEPLOYMENT] = [{ status: 200, body: { id: "dpl_1", readyState: "READY", target: "production" } }];
    script["GET /v1/projects/prj_1/rolling-release/config"] = [
      { status: 200, body: { rollingRelease: null } },
    ];
    script["PATCH /v1/projects/prj_1/rolling-release/config"] = [
      { status: 402, body: { error: { code: "payment" } } },
    ];
    const change = { place, to: "dpl_1", weight: 10, steps: [10, 100] };
    expect(await target.shift({ ...change, from: "dpl_0" }, never)).toBe("unsupported");
    expect(await target.shift({ ...change, from: null }, never)).toBe("unsupported");
  });
});

describe("what Vercel's API has no word for", () => {
  const limits = { maxMs: 1_000, maxRequests: 10 };

  it("is not supported there, and lifting it is no error", async () => {
    expect(await target.hold(place, limits, never)).toBe("unsupported");
    await target.unhold(place, never);
    expect(requests()).toEqual(["POST /v1/projects/prj_1/hold", "POST /v1/projects/prj_1/unhold"]);
  });

  it("is asked for by environment, and for a preview by its host", async () => {
    script["POST /v1/projects/prj_1/hold"] = [{ status: 200, body: { hosts: [], inFlight: 2 } }];
    expect(await target.hold(place, limits, never)).toEqual({ inFlight: 2 });
    const preview: Place = { ...place, environment: "preview", pullRequest: 7 };
    await target.hold(preview, limits, never);
    expect(seen.map(({ body }) => JSON.parse(body))).toEqual([
      { environment: "production", ...limits },
      { hosts: ["shop-pr-7.vercel.app"], ...limits },
    ]);
  });

  it("does not keep a shift from happening: a drain is ignored", async () => {
    script[ALIAS] = [{ status: 200, body: { deploymentId: "dpl_1" } }];
    const change = { place, from: "dpl_0", to: "dpl_1", weight: 100, steps: [100], drainMs: 5_000 };
    expect(await target.shift(change, never)).toBe("done");
    expect(requests()).toContain("PUT /v1/projects/prj_1/drain");
  });
});

describe("a place that is vacated", () => {
  const preview: Place = { ...place, environment: "preview", branch: "feature", pullRequest: 7 };

  it("loses its host; one that has none is done", async () => {
    await target.vacate(preview, never);
    expect(requests()).toEqual(["DELETE /v2/aliases/shop-pr-7.vercel.app"]);
  });

  it("is never production", async () => {
    await expect(target.vacate(place, never)).rejects.toMatchObject({ code: "unprocessable" });
    expect(seen).toEqual([]);
  });
});

describe("a host", () => {
  const host = (environment: Place["environment"], branch: string | null) =>
    target.hosts({ ...place, environment, branch })[0];

  it("is made of the project, and of the branch for previews", () => {
    expect(host("production", "main")).toBe("shop.vercel.app");
    expect(host("staging", "main")).toBe("shop-staging.vercel.app");
    expect(host("preview", "Feature/Über_1")).toBe("shop-git-feature-ber-1.vercel.app");
    expect(host("preview", null)).toBe("shop-preview.vercel.app");
    const pullRequest = { ...place, environment: "preview", branch: "x", pullRequest: 7 } as const;
    expect(target.hosts(pullRequest)).toEqual(["shop-pr-7.vercel.app"]);
  });

  it("fits into DNS, and long branches do not meet on one", () => {
    const [one = "", two = ""] = ["1", "2"].map(
      (end) => host("preview", `feature/${"x".repeat(80)}-${end}`) ?? "",
    );
    expect(one.split(".")[0]?.length).toBeLessThanOrEqual(63);
    expect(one).not.toBe(two);
  });
});
