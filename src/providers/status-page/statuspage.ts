import type { StatusPage } from "../../failover/index.ts";
import { guardedRequest } from "../../foundation/guarded-request.ts";
import type { NetworksOf } from "../../foundation/safe-fetch.ts";

const DEADLINE_MS = 5_000;
const MAX_BYTES = 1 << 20;

/**
 * Reads `status.indicator` of a Statuspage's `summary.json`, as `https://www.vercel-status.com/api/v2/summary.json`.
 * Source: metastatuspage.com/api
 */
export function createStatusPage(options: { readonly networksOf: NetworksOf }): StatusPage {
  return async ({ projectId, url }, signal) => {
    const allowNetworks = await options.networksOf(projectId);
    try {
      const asked = {
        url,
        deadlineMs: DEADLINE_MS,
        maxBytes: MAX_BYTES,
        headers: { accept: "application/json" },
      };
      const { status, text } = await guardedRequest(asked, { allowNetworks }, signal);
      const body = status === 200 ? (JSON.parse(text) as { status?: { indicator?: unknown } }) : {};
      const indicator = body.status?.indicator;
      return typeof indicator === "string" ? indicator.slice(0, 40) : null;
    } catch {
      // It is often as far away as what it is about; that it says nothing is itself the answer.
      return null;
    }
  };
}
