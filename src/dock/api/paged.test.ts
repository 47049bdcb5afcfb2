import { Hono } from "hono";
import { expect, it } from "vitest";
import { paged } from "./paged.ts";

const rows = [5, 4, 3, 2, 1].map((at) => new Date(at));
const app = new Hono().get("/", (c) => {
  const { page, pagination } = paged(c, rows, (row) => row);
  return c.json({ page: page.map((row) => row.getTime()), pagination });
});
const ask = async (query: string) => (await app.request(`/?${query}`)).json();

it("a list comes in pages, each saying where the next one begins", async () => {
  expect(await ask("limit=2")).toEqual({ page: [5, 4], pagination: { count: 2, next: 4, prev: null } });
  expect(await ask("limit=2&until=4")).toEqual({ page: [3, 2], pagination: { count: 2, next: 2, prev: 3 } });
  expect(await ask("limit=2&until=2")).toEqual({ page: [1], pagination: { count: 1, next: null, prev: 1 } });
  expect(await ask("since=4")).toMatchObject({ page: [5] });
});
