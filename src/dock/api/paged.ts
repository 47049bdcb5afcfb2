import type { Context } from "hono";
import { z } from "zod";
import { readQuery } from "./body.ts";

const PageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  since: z.coerce.number().int().optional(),
  until: z.coerce.number().int().optional(),
});

/**
 * One page of a list that is sorted by time, as Vercel pages: `next` and `prev` are the times to send as `until` and
 * `since`, or null at an end. For lists that are short enough to be read whole.
 */
export function paged<T>(
  c: Context,
  rows: readonly T[],
  timeOf: (row: T) => Date,
  options: { ascending?: boolean } = {},
): { page: T[]; pagination: { count: number; next: number | null; prev: number | null } } {
  const { limit, since, until } = readQuery(c, PageQuery);
  const at = (row: T) => timeOf(row).getTime();
  const isIn = (row: T) =>
    options.ascending
      ? (until === undefined || at(row) > until) && (since === undefined || at(row) < since)
      : (until === undefined || at(row) < until) && (since === undefined || at(row) > since);
  const left = rows.filter(isIn);
  const page = left.slice(0, limit);
  const first = page[0];
  const last = page.at(-1);
  const next = left.length > page.length && last !== undefined ? at(last) : null;
  const prev = until !== undefined && first !== undefined ? at(first) : null;
  return { page, pagination: { count: page.length, next, prev } };
}
