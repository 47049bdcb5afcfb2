import { AppError, messageOf } from "../../foundation/errors.ts";
import type { Api } from "../client/api.ts";
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
    // "Not ready" is 503 with the same body: which part is missing is what we are here for.
    const response = await api.open("/api/health/ready", { alsoStatus: 503 });
    return readinessChecks(JSON.parse(await readText(response)));
  } catch (error) {
    return [bad("ready", messageOf(error), "Look into the control plane's log.")];
  }
}

type Readiness = {
  readonly status?: unknown;
  readonly checks?: Readonly<Record<string, { readonly ok?: unknown; readonly error?: unknown }>>;
};

/** One check for each part that a readiness answer speaks of; an answer without parts is a check by itself. */
export function readinessChecks(answer: Readiness): Check[] {
  const parts = Object.entries(answer.checks ?? {});
  if (parts.length > 0) return parts.map(([name, part]) => partCheck(name, part));
  if (answer.status === "ready") return [good("ready", "yes")];
  return [
    bad("ready", "not yet", "Wait some seconds and ask again; then look into the control plane's log."),
  ];
}

function partCheck(name: string, part: { readonly ok?: unknown; readonly error?: unknown }): Check {
  if (part.ok === true) return good(name, "ok");
  const found = typeof part.error === "string" ? part.error : "not ok";
  return bad(name, found, `Look into the log of ${name}; \`npx signalbox up\` starts what is missing.`);
}
