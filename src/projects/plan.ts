import type { HealthCheck, HealthPolicy, Plan } from "../deployments/index.ts";
import type { FailoverPolicy } from "../failover/index.ts";
import type { GatePolicy } from "../gates/index.ts";
import type { AnalysisPolicy, Strategy } from "../rollouts/index.ts";
import { SCHEMA_DEFAULTS, type SchemaPlan } from "../schema/index.ts";
import type { BuildInput, EnvironmentName, PlatformSettings } from "../targets/target.ts";
import type { SignalboxConfig } from "./config.ts";
import { failoverPolicy } from "./plan-failover.ts";

/** One of the things that are deployed, as the configuration describes it. */
export type ServicePlan = {
  readonly name: string;
  readonly settings: BuildInput["settings"];
  readonly env: Readonly<Record<string, string>>;
  readonly health: HealthPolicy;
  readonly platform: PlatformSettings;
};

/** `migrations`, resolved for one environment. The address is a secret: it is in no row. */
export type MigrationsPlan = Omit<SchemaPlan, "databaseUrl"> & {
  readonly databaseVariable: string;
  readonly hold: { readonly maxMs: number; readonly maxRequests: number } | null;
};

export type ConfigPlan = Omit<Plan, "schema"> & {
  readonly services: readonly ServicePlan[];
  /** Variables of the whole deployment. */
  readonly env: Readonly<Record<string, string>>;
  readonly migrations: MigrationsPlan | null;
};

/** The only service of a configuration that names none. */
export const ONLY_SERVICE = "app";

const MINUTE = 60_000;

/** What the configuration means for one environment, defaults filled in. An environment's own words win. */
export function resolvePlan(config: SignalboxConfig, environment: EnvironmentName): ConfigPlan {
  const own = config.environments?.[environment] ?? {};
  return {
    services: servicesOf(config, own),
    env: { ...config.env, ...own.env },
    strategy: strategyOf(own),
    gate: gateOf(own),
    progressDeadlineMs: own.progress_deadline ?? null,
    rollbackWindowMs: own.rollback_window ?? 60 * MINUTE,
    steppedRollback: own.rollback === "stepped",
    watchMs: own.watch ?? 5 * MINUTE,
    drainMs: own.drain ?? 0,
    migrations: own.migrations === false ? null : migrationsOf(config.migrations),
    ...(environment === "production" ? failoverOf(config) : {}),
  };
}

/** Absent where none is asked for, so that plans of before say the same. */
function failoverOf(config: SignalboxConfig): { failover?: FailoverPolicy } {
  const asked = config.environments?.production?.failover;
  return asked === undefined ? {} : { failover: failoverPolicy(asked === "dock" ? { to: "dock" } : asked) };
}

type Environment = NonNullable<NonNullable<SignalboxConfig["environments"]>[EnvironmentName]>;
type Health = NonNullable<SignalboxConfig["health"]>;
type Named = NonNullable<NonNullable<SignalboxConfig["services"]>[string]>;

function servicesOf(config: SignalboxConfig, own: Environment): ServicePlan[] {
  const named: [string, Named | null][] = Object.entries(config.services ?? { [ONLY_SERVICE]: {} });
  return named.map(([name, service], index) => ({
    name,
    settings: settingsOf({ ...config.build, ...service?.build }),
    env: { ...config.env, ...service?.env, ...own.env },
    health: healthOf({ ...config.health, ...service?.health, ...own.health }),
    platform: platformOf(own, index === named.length - 1),
  }));
}

/** One project is named, and it is what visitors open: the last service. The others are found by their names. */
function platformOf({ vercel = {} }: Environment, isMain: boolean): PlatformSettings {
  const { projectId, teamId, environment, source, buildCache, checks } = vercel;
  return {
    ...(projectId === undefined || !isMain ? {} : { projectId }),
    ...(teamId === undefined ? {} : { teamId }),
    ...(environment === undefined ? {} : { environment }),
    source: source ?? "files",
    keepCache: buildCache ?? true,
    checks: checks ?? false,
  };
}

function healthOf(health: Health): HealthPolicy {
  const extra = (health.checks ?? []).map(checkOf);
  const asked = health.path !== undefined || health.expect_status !== undefined || extra.length === 0;
  const main: HealthCheck = {
    type: "http",
    path: health.path ?? "/",
    expectStatus: health.expect_status ?? [200, 399],
    contains: null,
  };
  return {
    checks: asked ? [main, ...extra] : extra,
    timeoutMs: health.timeout ?? 5_000,
    intervalMs: health.interval ?? 500,
    minHealthyMs: health.min_healthy_time ?? null,
    graceMs: health.grace ?? 0,
    deadlineMs: health.deadline ?? 2 * MINUTE,
  };
}

function checkOf(check: NonNullable<Health["checks"]>[number]): HealthCheck {
  if (check.type !== "http") return check;
  const { path, expect_status, contains } = check;
  return { type: "http", path, expectStatus: expect_status ?? [200, 399], contains: contains ?? null };
}

function strategyOf({ strategy, monitoring }: Environment): Strategy {
  if (strategy === undefined || strategy === "instant") return { kind: "instant" };
  const endpoint = monitoring?.prometheusEndpoint;
  if (strategy === "blue_green") return blueGreen({}, endpoint);
  if ("blue_green" in strategy) return blueGreen(strategy.blue_green, endpoint);
  const { steps, max_error_rate, min_requests, analysis } = strategy.canary;
  const short = {
    ...(max_error_rate === undefined ? {} : { max_error_rate }),
    ...(min_requests === undefined ? {} : { min_requests }),
  };
  return {
    kind: "canary",
    steps: steps.map(({ weight, bake }) => ({ weight, bakeMs: bake === "manual" ? null : bake })),
    analysis: analysisOf({ ...short, ...analysis }, endpoint),
  };
}

type Analysis = NonNullable<Extract<Environment["strategy"], { canary: unknown }>["canary"]["analysis"]>;

function blueGreen(
  given: { watch?: number | undefined; analysis?: Analysis | undefined },
  endpoint?: string,
): Strategy {
  const analysis = analysisOf(given.analysis ?? {}, endpoint);
  return { kind: "blue_green", watchMs: given.watch ?? 5 * MINUTE, analysis };
}

/** Kayenta's published defaults for the comparison, which has to be asked for: it needs traffic to say anything. */
function analysisOf(given: Analysis, endpoint: string | undefined): AnalysisPolicy {
  return {
    intervalMs: given.interval ?? 10_000,
    maxErrorRate: given.max_error_rate ?? 0.02,
    maxLatencyMs: given.max_latency ?? null,
    compare: given.compare ?? false,
    confidence: given.confidence ?? 0.95,
    tolerance: given.tolerance ?? 0.25,
    effectSize: given.effect_size ?? 1,
    minRequests: given.min_requests ?? 20,
    failureLimit: given.failure_limit ?? 1,
    queries: (given.queries ?? []).map((query) => ({
      name: query.name ?? query.query,
      endpoint: query.endpoint ?? endpoint ?? "",
      query: query.query,
      max: query.max ?? null,
      min: query.min ?? null,
    })),
  };
}

function gateOf({ approvals, wait }: Environment): GatePolicy {
  return {
    approvals: approvals
      ? {
          required: approvals.required,
          reviewers: approvals.reviewers ?? [],
          selfApproval: approvals.self_approval ?? false,
          expiresMs: approvals.expires ?? 24 * 60 * MINUTE,
        }
      : null,
    waitMs: wait ?? 0,
  };
}

function migrationsOf(migrations: SignalboxConfig["migrations"]): MigrationsPlan | null {
  if (!migrations) return null;
  const { hold } = migrations;
  return {
    databaseVariable: migrations.database ?? SCHEMA_DEFAULTS.databaseVariable,
    expandDir: migrations.expand ?? null,
    contractDir: migrations.contract ?? null,
    timeoutMs: migrations.timeout ?? SCHEMA_DEFAULTS.timeoutMs,
    lockTimeoutMs: migrations.lock_timeout ?? SCHEMA_DEFAULTS.lockTimeoutMs,
    hold: hold ? { maxMs: hold.max, maxRequests: hold.requests ?? 1_000 } : null,
  };
}

function settingsOf(build: NonNullable<SignalboxConfig["build"]>): BuildInput["settings"] {
  return {
    ...(build.framework === undefined ? {} : { framework: build.framework }),
    ...(build.install === undefined ? {} : { installCommand: build.install }),
    ...(build.command === undefined ? {} : { buildCommand: build.command }),
    ...(build.output === undefined ? {} : { outputDirectory: build.output }),
    ...(build.root === undefined ? {} : { rootDirectory: build.root }),
    ...(build.start === undefined ? {} : { startCommand: build.start }),
  };
}
