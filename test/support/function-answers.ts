import type { Question } from "./framework-apps.ts";
import type { Answer } from "./framework-servers.ts";

const json = "application/json";
const form = { "content-type": "application/x-www-form-urlencoded" };

/** What the app of plain functions answers at Vercel, as its documentation and its own runtime say. */
export const FUNCTION_ANSWERS: readonly (Question & { readonly answer: Partial<Answer> })[] = [
  { path: "/", answer: { status: 200, body: "<h1>Static page</h1>\n", header: ["functions", null] } },
  { path: "/", method: "HEAD", answer: { status: 200, body: "", type: "text/html;charset=utf-8" } },
  { path: "/about", answer: { status: 200, body: "<h1>About</h1>\n" } },
  { path: "/about.html?a=1", answer: { status: 308, location: "/about?a=1" } },
  { path: "/index", answer: { status: 308, location: "/" } },
  // Web handlers, by method: what is not exported is not allowed.
  {
    path: "/api/web?a=1",
    answer: {
      status: 200,
      body: JSON.stringify({ pathname: "/api/web", query: { a: "1" }, day: 86_400_000 }),
      header: ["functions", null],
    },
  },
  { path: "/api/web", method: "POST", body: "hello", answer: { status: 201, body: '{"body":"hello"}' } },
  { path: "/api/web", method: "HEAD", answer: { status: 405, body: "" } },
  { path: "/api/web", method: "PUT", answer: { status: 405 } },
  // `(request, response)` with helpers.
  {
    path: "/api/helpers?x=1&x=2",
    headers: { cookie: "a=b" },
    answer: {
      status: 200,
      body: JSON.stringify({ query: { x: ["1", "2"] }, cookies: { a: "b" }, body: "" }),
    },
  },
  {
    path: "/api/helpers",
    method: "POST",
    body: '{"n":1}',
    headers: { "content-type": json },
    answer: { status: 200, body: '{"query":{},"cookies":{},"body":{"n":1}}' },
  },
  {
    path: "/api/helpers",
    method: "POST",
    body: "n=1",
    headers: form,
    answer: { status: 200, body: '{"query":{},"cookies":{},"body":{"n":"1"}}' },
  },
  {
    path: "/api/helpers",
    method: "POST",
    body: "{",
    headers: { "content-type": json },
    answer: { status: 400 },
  },
  { path: "/api/edge", answer: { status: 200, body: "edge /api/edge" } },
  { path: "/api/user/7", answer: { status: 200, body: "user 7", type: "text/plain" } },
  { path: "/user/8", answer: { status: 200, body: "user 8" } },
  { path: "/api/user/%C3%A4", answer: { status: 200 } },
  { path: "/old?a=1", answer: { status: 308, location: "/api/web?a=1" } },
  { path: "/api/slow", answer: { status: 504 } },
  { path: "/api/nothing", answer: { status: 404 } },
  { path: "/nothing", answer: { status: 404 } },
  // Nobody reads the source.
  { path: "/vercel.json", answer: { status: 404 } },
];
