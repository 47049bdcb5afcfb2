import type { IncomingHttpHeaders } from "node:http";
import type { ProbeResult } from "../../deployments/index.ts";

type Answer = Omit<ProbeResult, "latencyMs">;

/** Vercel's platform itself is at fault; its docs list these codes under "internal". */
const PLATFORM_FAULT = /^INTERNAL_/;
const PAUSED = new Set(["DEPLOYMENT_DISABLED", "DEPLOYMENT_PAUSED"]);

/**
 * What Vercel's edge says in place of the release: a log-in before a protected deployment, a project that is paused, a
 * fault of the platform's own. Null: the release itself has answered.
 */
export function edgeAnswer(status: number, headers: IncomingHttpHeaders): Answer | null {
  if (isWall(status, headers)) {
    const error = `status ${status}: the address is protected by its platform, so the release itself was not reached`;
    return { ok: false, status, protected: true, error };
  }
  const code = String(headers["x-vercel-error"] ?? "");
  if (PAUSED.has(code)) {
    return { ok: false, status, paused: true, error: `the project is paused at its platform (${code})` };
  }
  if (PLATFORM_FAULT.test(code)) {
    return { ok: false, status, unreachable: true, error: `a fault of Vercel's own (${code})` };
  }
  return null;
}

/**
 * Vercel Authentication answers 401 or 403 with a nonce for its single sign-on, or sends the browser there; password
 * protection answers 401 with a page of the edge. A redirect would else count as a good answer.
 */
function isWall(status: number, headers: IncomingHttpHeaders): boolean {
  const cookies = headers["set-cookie"] ?? [];
  const hasNonce = cookies.some((cookie) => /^_vercel_(sso_nonce|password)=/.test(cookie));
  const location = String(headers.location ?? "");
  if (status >= 300 && status < 400) return /^https:\/\/vercel\.com\/sso-api/.test(location);
  if (status !== 401 && status !== 403) return false;
  // The dock's gateway.
  if (headers["x-vercel-error"] === "DEPLOYMENT_PROTECTED") return true;
  return hasNonce || /^https:\/\/vercel\.com\/(sso-api|login)/.test(location);
}

/**
 * Which release has answered. The dock says so in a header; on Vercel an app can, with its own `VERCEL_DEPLOYMENT_ID`.
 * During a rolling release Vercel's sticky cookie names the deployment before its bar. Undefined: nobody says.
 */
export function releaseOf(headers: IncomingHttpHeaders): string | undefined {
  const header = headers["x-signalbox-deployment"];
  if (header !== undefined) return Array.isArray(header) ? header[0] : header;
  for (const cookie of headers["set-cookie"] ?? []) {
    const [, value] = /^_vcrr_[^=]*=([^;]*)/.exec(cookie) ?? [];
    const [id = ""] = decode(value ?? "").split("|");
    if (/^dpl_/.test(id)) return id;
  }
  return undefined;
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
