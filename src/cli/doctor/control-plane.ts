import { AppError, messageOf } from "../../foundation/errors.ts";
import type { Api } from "../client/api.ts";
import { ApiError } from "../client/api-error.ts";
import { listPath } from "../client/deployment.ts";
import { readText } from "../client/transport.ts";
import { bad, type Check, good } from "./check.ts";

/** Is it there, is it ready and what of it is not, and does it take our token? */
export async function checkControlPlane(api: Api): Promise<Check[]> {
  const live = await attempt("control plane", () => api.get("/api/health/live"), `${api.url} answers`);
  if (!live.ok) return [live];
  const token = attempt("token", () => api.get(listPath({ limit: 1 })), "accepted");
  return [live, ...(await checkReady(api)), await token];
}

async function attempt(name: string, ask: () => Promise<unknown>, found: string): Promise<Check> {
  try {
    await ask();
    return good(name, found);
  } catch (error) {
    const hint = error instanceof AppError ? error.hint : undefined;
    return bad(name, messageOf(error), hint ?? "Look into the control plane's log.");
  }
}

async function checkReady(api: Api): Promise<Check[]> {
  try {
    const response = await api.open("/api/health/ready");
    return readinessChecks(JSON.parse(await readText(response)), true);
  } catch (error) {
    const details = error instanceof ApiError ? error.details : undefined;
    const parts = readinessChecks(details, false).filter((check) => check.name !== "ready");
    return parts.length > 0 ? parts : [bad("ready", messageOf(error), "Look into the control plane's log.")];
  }
}

/**
 * The parts that a readiness answer speaks of (`{checks: {postgres: …}}`, `{services: …}`), each one a check; a
 * part is well unless it says otherwise. An answer that speaks of none is one check by itself.
 */
export function readinessChecks(body: unknown, ready: boolean): Check[] {
  const answer = (body ?? {}) as Record<string, unknown>;
  const parts = [answer.checks, answer.services, answer.details].find(
    (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  );
  const checks = Object.entries(parts ?? {}).map(([name, value]) => partCheck(name, value));
  if (checks.length > 0) return checks;
  return [ready ? good("ready", "yes") : bad("ready", "no", "Look into the control plane's log.")];
}

const WELL = new Set(["ok", "up", "ready", "healthy", "pass", "true"]);

function partCheck(name: string, value: unknown): Check {
  const part = (typeof value === "object" && value !== null ? value : { status: value }) as Record<
    string,
    unknown
  >;
  const said = part.status ?? part.state ?? part.ok ?? "ok";
  const message = [part.message, part.error, part.reason].find((text) => typeof text === "string");
  const found = message === undefined ? String(said) : `${String(said)}: ${message}`;
  if (WELL.has(String(said))) return good(name, found);
  const hint =
    typeof part.hint === "string"
      ? part.hint
      : `Look into the log of ${name}, or start it again: npx signalbox up`;
  return bad(name, found, hint);
}
