const NAMES = new Set([
  ...["x-matched-path", "x-now-route-matches", "x-real-ip", "x-prerender-bypass"],
  ...["x-invocation-id", "x-next-revalidated-tags", "x-next-revalidate-tag-token"],
]);
const PREFIXES = /^x-(vercel|middleware)-/;
// The dock's own doors: what it lets through and checks itself, and what a function may need to see.
const VISITORS = new Set([
  "x-vercel-protection-bypass",
  "x-vercel-set-bypass-cookie",
  "x-vercel-skip-toolbar",
]);

/**
 * Whether a request's header is the platform's to say: from a visitor it is a forgery, for functions as for the
 * conditions of routes. The gateway drops `x-forwarded-*` and sets it anew.
 */
export function isOfPlatform(name: string): boolean {
  return NAMES.has(name) || (PREFIXES.test(name) && !VISITORS.has(name));
}
