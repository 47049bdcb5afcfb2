import { expect, test } from "vitest";
import { edgeAnswer, releaseOf } from "./edge-answer.ts";

test.each([
  ["Vercel Authentication", 401, { "set-cookie": ["_vercel_sso_nonce=abc; Path=/"] }],
  ["the dock's own wall", 401, { "x-vercel-error": "DEPLOYMENT_PROTECTED" }],
  ["Vercel Authentication of an API", 403, { "set-cookie": ["_vercel_sso_nonce=abc"] }],
  [
    "a browser sent to sign on, which a probe would take for a good answer",
    307,
    {
      location: "https://vercel.com/sso-api?url=https%3A%2F%2Fx.vercel.app",
    },
  ],
])("%s is a wall before the release, and not the release", (_name, status, headers) => {
  const answer = edgeAnswer(status, headers);
  expect(answer).toMatchObject({ ok: false, protected: true, status });
  expect(answer?.error).toMatch(/is protected by its platform/);
});

test.each([
  [401, {}],
  [403, { "set-cookie": ["session=1"] }],
  [302, { location: "https://shop.example/login" }],
  [404, { "x-vercel-error": "NOT_FOUND" }],
  [500, { "x-vercel-error": "FUNCTION_INVOCATION_FAILED" }],
  [200, {}],
])("%i %o is the app's own answer", (status, headers) => {
  expect(edgeAnswer(status, headers)).toBeNull();
});

test("a paused project and a fault of Vercel's own are told apart from a bad release", () => {
  expect(edgeAnswer(402, { "x-vercel-error": "DEPLOYMENT_DISABLED" })).toMatchObject({ paused: true });
  expect(edgeAnswer(503, { "x-vercel-error": "DEPLOYMENT_PAUSED" })).toMatchObject({ paused: true });
  const fault = edgeAnswer(500, { "x-vercel-error": "INTERNAL_UNEXPECTED_ERROR" });
  expect(fault).toMatchObject({ unreachable: true });
});

test("who answered is known from the header, or from the cookie of a rolling release; else nobody says", () => {
  expect(releaseOf({ "x-signalbox-deployment": "dpl_1" })).toBe("dpl_1");
  expect(releaseOf({ "set-cookie": ["a=b", "_vcrr_0f3a=dpl_2%7C37; Path=/"] })).toBe("dpl_2");
  expect(releaseOf({ "set-cookie": ["_vcrr_0f3a=%zz"] })).toBeUndefined();
  expect(releaseOf({ server: "Vercel", "x-vercel-id": "iad1::x" })).toBeUndefined();
});
