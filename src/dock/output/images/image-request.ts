import { z } from "zod";

const RemotePattern = z.object({
  protocol: z.string().optional(),
  hostname: z.string(),
  port: z.string().optional(),
  pathname: z.string().optional(),
  search: z.string().optional(),
});

// Source: vercel.com/docs/build-output-api/configuration#images
export const ImagesConfig = z.object({
  sizes: z.array(z.number()),
  domains: z.array(z.string()).default([]),
  remotePatterns: z.array(RemotePattern).nullish(),
  localPatterns: z
    .array(z.object({ pathname: z.string().optional(), search: z.string().optional() }))
    .nullish(),
  qualities: z.array(z.number()).nullish(),
  minimumCacheTTL: z.number().nullish(),
  formats: z.array(z.enum(["image/avif", "image/webp"])).nullish(),
  dangerouslyAllowSVG: z.boolean().nullish(),
  contentSecurityPolicy: z.string().nullish(),
  contentDispositionType: z.string().nullish(),
});

export type Images = z.infer<typeof ImagesConfig>;

export type ImageRequest =
  | {
      readonly kind: "local";
      readonly path: string;
      readonly query: string;
      readonly width: number;
      readonly quality: number;
    }
  | { readonly kind: "remote"; readonly url: URL; readonly width: number; readonly quality: number };

const LONGEST_URL = 3_072;

/** @returns what is asked for, or the sentence that refuses it. `ownPath`: the endpoint, which must not ask itself. */
export function readImageRequest(
  query: URLSearchParams,
  images: Images,
  ownPath: string,
): ImageRequest | string {
  const width = readNumber(query, "w", "width");
  if (typeof width === "string") return width;
  const quality = readNumber(query, "q", "quality");
  if (typeof quality === "string") return quality;
  if (!images.sizes.includes(width)) return `"w" parameter (width) of ${width} is not allowed`;
  if (quality < 1 || quality > 100) return '"q" parameter (quality) must be a number between 1 and 100';
  if (images.qualities && !images.qualities.includes(quality)) {
    return `"q" parameter (quality) of ${quality} is not allowed`;
  }
  const source = readSource(query, images, ownPath);
  return typeof source === "string" ? source : { ...source, width, quality };
}

function readNumber(query: URLSearchParams, name: string, meaning: string): number | string {
  const values = query.getAll(name);
  if (values.length === 0 || values[0] === "") return `"${name}" parameter (${meaning}) is required`;
  if (values.length > 1) return `"${name}" parameter (${meaning}) cannot be an array`;
  const value = Number(values[0]);
  return /^\d+$/.test(values[0] ?? "") && value > 0
    ? value
    : `"${name}" parameter (${meaning}) must be an integer greater than 0`;
}

type Source = { kind: "local"; path: string; query: string } | { kind: "remote"; url: URL };

function readSource(query: URLSearchParams, images: Images, ownPath: string): Source | string {
  const urls = query.getAll("url");
  const [url = ""] = urls;
  if (url === "") return '"url" parameter is required';
  if (urls.length > 1) return '"url" parameter cannot be an array';
  if (url.length > LONGEST_URL) return '"url" parameter is too long';
  if (url.startsWith("//")) return '"url" parameter cannot be a protocol-relative URL (//)';
  return url.startsWith("/") ? localSource(url, images, ownPath) : remoteSource(url, images);
}

function localSource(url: string, images: Images, ownPath: string): Source | string {
  const parsed = URL.parse(url, "http://localhost");
  if (parsed === null || url.includes("\\")) return '"url" parameter is invalid';
  const { pathname: path, search } = parsed;
  if (path === ownPath || /^\/_(vercel|next)\/image(\/|$)/.test(path))
    return '"url" parameter cannot be recursive';
  const allowed = images.localPatterns?.some(
    (pattern) =>
      (pattern.search === undefined || pattern.search === search) && fits(pattern.pathname ?? "**", path),
  );
  return allowed === false ? '"url" parameter is not allowed' : { kind: "local", path, query: search };
}

function remoteSource(text: string, images: Images): Source | string {
  const url = URL.parse(text);
  if (url === null) return '"url" parameter is invalid';
  if (url.protocol !== "http:" && url.protocol !== "https:") return '"url" parameter is invalid';
  const patterns = images.remotePatterns ?? [];
  const allowed =
    images.domains.includes(url.hostname) || patterns.some((pattern) => fitsRemote(pattern, url));
  return allowed ? { kind: "remote", url } : '"url" parameter is not allowed';
}

function fitsRemote(pattern: z.infer<typeof RemotePattern>, url: URL): boolean {
  return (
    (pattern.protocol === undefined || pattern.protocol.replace(/:$/, "") === url.protocol.slice(0, -1)) &&
    (pattern.port === undefined || pattern.port === url.port) &&
    (pattern.search === undefined || pattern.search === url.search) &&
    fits(pattern.hostname, url.hostname, true) &&
    fits(pattern.pathname ?? "**", url.pathname)
  );
}

/**
 * Patterns come as the regular expressions that the CLI compiles globs to (`^(?:…)$`), or as globs of hand-written
 * outputs: `*` is one part of a path or host, `**` any number of them.
 */
function fits(pattern: string, value: string, host = false): boolean {
  if (/^\^.*\$$/.test(pattern)) return matches(pattern, value);
  const part = host ? "[^.]+" : "[^/]+";
  const source = pattern
    .split(/(\*\*|\*)/)
    .map((piece) =>
      piece === "**" ? ".*" : piece === "*" ? part : piece.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"),
    )
    .join("");
  return matches(`^${source}$`, value);
}

function matches(source: string, value: string): boolean {
  try {
    return new RegExp(source).test(value);
  } catch {
    return false;
  }
}
