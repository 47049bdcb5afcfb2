import { type Answer, jsonAnswer } from "./answer.ts";
import type { Look } from "./check-loop.ts";
import type { HealthBody, HealthOptions, ServiceBody } from "./options.ts";

/** All that the answers are made of. */
export type State = {
  readonly checks: readonly {
    readonly name: string;
    readonly critical: boolean;
    readonly componentType: string | null;
    readonly look: Look | null;
    /** By how much the last look is too old; 0: it is not. */
    readonly staleMs: number;
  }[];
  readonly now: Date;
  readonly draining: boolean;
  /** Why it is not live; null: it is. */
  readonly dead: string | null;
};

/** Each endpoint's answers, for everybody and with details. */
export type Answers = {
  readonly health: Pair;
  readonly healthJson: Pair;
  readonly ready: Pair;
  readonly live: Answer;
};
type Pair = { readonly open: Answer; readonly detailed: Answer };
type About = Pick<HealthOptions, "version" | "releaseId" | "serviceId" | "description">;
type Checked = State["checks"][number];

/** Pure: what is answered until something changes. */
export function render(state: State, about: About): Answers {
  const pair = (make: (details: boolean) => Answer): Pair => ({ open: make(false), detailed: make(true) });
  const live = state.dead === null ? { status: "live" } : { status: "dead", reason: state.dead };
  return {
    health: pair((details) => health(state, details)),
    healthJson: pair((details) => healthJson(state, about, details)),
    ready: pair((details) => ready(state, details)),
    live: jsonAnswer(state.dead === null ? 200 : 503, live),
  };
}

function health(state: State, details: boolean): Answer {
  const body = healthBody(state, details);
  return jsonAnswer(body.status === "unhealthy" ? 503 : 200, body);
}

export function healthBody(state: State, details: boolean): HealthBody {
  const services = state.checks.map((check): [string, ServiceBody] => {
    const { look } = check;
    const output = details ? outputOf(check, true) : null;
    const shown = {
      status: SERVICE_STATUS[statusOf(check)],
      latency: look?.latencyMs ?? null,
      lastCheck: look?.at.toISOString() ?? null,
      ...(output === null ? {} : { message: output }),
    };
    return [check.name, shown];
  });
  const status = OVERALL[overallOf(state.checks)];
  return { status, timestamp: state.now.toISOString(), services: Object.fromEntries(services) };
}

const SERVICE_STATUS = { pass: "up", warn: "degraded", fail: "down" } as const;
const OVERALL = { pass: "healthy", warn: "degraded", fail: "unhealthy" } as const;

/** Source: draft-inadarei-api-health-check-06, sections 3 and 4. */
function healthJson(state: State, about: About, details: boolean): Answer {
  const status = overallOf(state.checks);
  const checks = Object.fromEntries(
    state.checks.map((check) => {
      const { look, componentType } = check;
      const observed = look?.observed ?? { value: look?.latencyMs ?? null, unit: "ms" };
      const output = details ? outputOf(check, true) : null;
      const entry = {
        ...(componentType === null ? {} : { componentType }),
        ...(observed.value === null ? {} : { observedValue: observed.value }),
        ...(observed.value === null || observed.unit === null ? {} : { observedUnit: observed.unit }),
        status: statusOf(check),
        ...(look === null ? {} : { time: look.at.toISOString() }),
        ...(output === null ? {} : { output }),
      };
      return [`${check.name}:${look?.observed ? "value" : "responseTime"}`, [entry]];
    }),
  );
  const body = { status, ...about, checks };
  return jsonAnswer(status === "fail" ? 503 : 200, body, "application/health+json");
}

function ready(state: State, details: boolean): Answer {
  const critical = state.checks.filter((check) => check.critical);
  const ok = !state.draining && critical.every((check) => statusOf(check) !== "fail");
  const checks = Object.fromEntries(
    critical.map((check) => {
      const output = outputOf(check, details);
      const bad = statusOf(check) === "fail";
      const latencyMs = check.look?.latencyMs ?? 0;
      return [check.name, { ok: !bad, latencyMs, ...(bad && output !== null ? { error: output } : {}) }];
    }),
  );
  const draining = state.draining ? { draining: true } : {};
  return jsonAnswer(ok ? 200 : 503, { status: ok ? "ready" : "not_ready", ...draining, checks });
}

function statusOf({ look, staleMs }: Checked): Look["status"] {
  return look === null || staleMs > 0 ? "fail" : look.status;
}

function outputOf({ look, staleMs }: Checked, details: boolean): string | null {
  if (look === null) return "not checked yet";
  if (staleMs > 0) return "stale: it has not been checked for too long";
  if (look.status === "pass") return null;
  return details ? (look.output ?? look.reason) : look.reason;
}

function overallOf(checks: readonly Checked[]): Look["status"] {
  if (checks.some((check) => check.critical && statusOf(check) === "fail")) return "fail";
  return checks.every((check) => statusOf(check) === "pass") ? "pass" : "warn";
}
