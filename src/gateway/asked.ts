import { cookieValue } from "./cookies.ts";
import type { Asked } from "./pick.ts";
import type { ScannedHeaders } from "./request-headers.ts";
import type { Target } from "./url-path.ts";

export const CANARY_COOKIE = "signalbox-canary";
/** Vercel's names: its frameworks write them by themselves. Source: vercel.com/docs/skew-protection. */
export const DEPLOYMENT_COOKIE = "__vdpl";
const DEPLOYMENT_PARAMETER = "dpl";

type Headers = Pick<ScannedHeaders, "cookie" | "canary" | "deployment">;

/** A cheap look: false for nearly every request, which names no release then. May be true for one that does not. */
export function mayNameRelease(scanned: Headers, target: Pick<Target, "query">): boolean {
  return (
    scanned.deployment !== "" ||
    target.query.includes(`${DEPLOYMENT_PARAMETER}=`) ||
    scanned.cookie.includes(DEPLOYMENT_COOKIE)
  );
}

/**
 * The release that a request names, or null. The header wins over the query, the query over the cookie.
 *
 * A page that is navigated to names nothing: whoever reloads gets what is served now, as with Vercel, so that a
 * rollback reaches every visitor at their next page.
 * @param fetchDest the `Sec-Fetch-Dest` header, which browsers send and scripts cannot change
 */
export function namedRelease(
  scanned: Headers,
  target: Pick<Target, "query">,
  fetchDest: string | undefined,
): string | null {
  if (fetchDest === "document") return null;
  if (scanned.deployment !== "") return scanned.deployment;
  const fromQuery = new URLSearchParams(target.query).get(DEPLOYMENT_PARAMETER);
  return fromQuery || cookieValue(scanned.cookie, DEPLOYMENT_COOKIE);
}

/** The visitor's wish for or against the canary: by header, else by cookie. What is neither word is no wish. */
export function canaryOverride({ canary, cookie }: Headers): Asked["override"] {
  return wish(canary) ?? (cookie === "" ? null : wish(cookieValue(cookie, CANARY_COOKIE)));
}

function wish(text: string | null): Asked["override"] {
  return text === "always" || text === "never" ? text : null;
}
