import { readFileSync, realpathSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { z } from "zod";
import { contentTypeOf } from "../../build/content-type.ts";

const Fallback = z.union([z.string(), z.object({ fsPath: z.string(), contentType: z.string().optional() })]);

// Source: vercel.com/docs/build-output-api/primitives, and `Prerender` of @vercel/build-utils.
const Config = z.object({
  expiration: z.union([z.number(), z.boolean()]),
  staleExpiration: z.number().optional(),
  group: z.number().optional(),
  bypassToken: z.string().nullish(),
  fallback: Fallback.nullish(),
  allowQuery: z.array(z.string()).nullish(),
  allowHeader: z.array(z.string()).nullish(),
  initialHeaders: z.record(z.string(), z.string()).nullish(),
  initialStatus: z.number().int().min(200).max(599).nullish(),
  passQuery: z.boolean().nullish(),
  exposeErrBody: z.boolean().nullish(),
});

export type PrerenderSpec = {
  /** Seconds for which an answer is fresh; null is for ever. */
  readonly expirationS: number | null;
  /** Seconds after which an answer is not even shown while a new one is made; null is never. */
  readonly staleForS: number | null;
  readonly group: number | null;
  readonly bypassToken: string | null;
  /** null: the whole query is part of the key. */
  readonly allowQuery: readonly string[] | null;
  readonly allowHeader: readonly string[];
  readonly passQuery: boolean;
  readonly fallback: {
    readonly path: string;
    readonly status: number;
    readonly headers: readonly string[];
  } | null;
};

/** @returns null when the configuration cannot be read: then its function is called each time. */
export function readPrerender(path: string, name: string, folder: string): PrerenderSpec | null {
  const parsed = Config.safeParse(readJson(path));
  if (!parsed.success) return null;
  const { data } = parsed;
  return {
    expirationS: typeof data.expiration === "number" ? data.expiration : null,
    staleForS: data.staleExpiration ?? null,
    group: data.group ?? null,
    bypassToken: data.bypassToken || null,
    allowQuery: data.allowQuery ?? null,
    allowHeader: (data.allowHeader ?? []).map((header) => header.toLowerCase()),
    passQuery: data.passQuery ?? false,
    fallback: fallbackOf(data, join(folder, dirname(name)), folder),
  };
}

function fallbackOf(data: z.infer<typeof Config>, beside: string, folder: string): PrerenderSpec["fallback"] {
  const file = typeof data.fallback === "string" ? data.fallback : data.fallback?.fsPath;
  if (!file) return null;
  const path = realPath(join(beside, file));
  if (path === null || !path.startsWith(folder + sep)) return null;
  const headers = Object.entries(data.initialHeaders ?? {}).flat();
  const typed = headers.some((name, at) => at % 2 === 0 && name.toLowerCase() === "content-type");
  const type = (typeof data.fallback === "object" && data.fallback?.contentType) || contentTypeOf(path);
  return {
    path,
    status: data.initialStatus ?? 200,
    headers: typed ? headers : [...headers, "content-type", type],
  };
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
