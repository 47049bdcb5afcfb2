import { createHash, timingSafeEqual } from "node:crypto";
import { PAGES } from "./error-page.ts";
import type { Exchange } from "./exchange.ts";
import { fail } from "./forward.ts";
import type { Gate } from "./snapshot.ts";
import type { Target } from "./url-path.ts";

/** Vercel's name, of the header and of the query's parameter. Source: vercel.com/docs/deployment-protection. */
const BYPASS = "x-vercel-protection-bypass";

/** True: the request goes on. False: it was answered here. */
export function passes(exchange: Exchange, gate: Gate, spelling: string, target: Target): boolean {
  if (gate.kind === "paused") fail(exchange, PAGES.paused);
  else if (gate.kind === "redirect") redirect(exchange, gate, spelling, target);
  else if (isOpenedBy(givenSecret(exchange, target), gate.bypass)) return true;
  else fail(exchange, PAGES.protected);
  return false;
}

function givenSecret({ req }: Exchange, { query }: Target): string | null {
  const header = req.headers[BYPASS];
  if (typeof header === "string") return header;
  return query.includes(BYPASS) ? new URLSearchParams(query).get(BYPASS) : null;
}

/** Hashes are compared in constant time, and all of them. */
function isOpenedBy(secret: string | null, hashes: readonly string[]): boolean {
  if (secret === null || secret.length > 256) return false;
  const given = createHash("sha256").update(secret).digest();
  let isKnown = false;
  for (const hash of hashes) {
    const known = Buffer.from(hash, "hex");
    isKnown = (known.length === given.length && timingSafeEqual(known, given)) || isKnown;
  }
  return isKnown;
}

/** To the other host under the same scheme, which a proxy in front of us may have ended, and on the same port. */
function redirect(
  exchange: Exchange,
  gate: Extract<Gate, { kind: "redirect" }>,
  spelling: string,
  target: Target,
): void {
  const port = /:\d+$/.exec(spelling)?.[0] ?? "";
  exchange.answered(gate.status);
  exchange.res.writeHead(gate.status, {
    location: `//${gate.to}${port}${target.path}${target.query}`,
    "content-length": "0",
    "cache-control": "no-store",
  });
  exchange.res.end();
}
