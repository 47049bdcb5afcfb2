import type { BuildInput, EnvironmentName } from "../targets/target.ts";
import type { SignalboxConfig } from "./config.ts";

export type Strategy =
  | { readonly kind: "instant" }
  | {
      readonly kind: "canary";
      readonly steps: readonly { readonly weight: number; readonly bakeMs: number }[];
      readonly maxErrorRate: number;
      readonly minRequests: number;
    };

export type HealthPolicy = {
  readonly path: string;
  readonly timeoutMs: number;
  readonly intervalMs: number;
  /** Null: not given, so that the deployment's kind and environment decide. */
  readonly minHealthyMs: number | null;
  readonly deadlineMs: number;
  /** First and last status that counts as healthy. */
  readonly expectStatus: readonly [number, number];
};

export type Plan = {
  readonly settings: BuildInput["settings"];
  readonly env: Readonly<Record<string, string>>;
  readonly strategy: Strategy;
  readonly health: HealthPolicy;
};

const DEFAULT_MAX_ERROR_RATE = 0.02;
const DEFAULT_MIN_REQUESTS = 20;

/** What the configuration means for one environment, defaults filled in. An environment's own words win. */
export function resolvePlan(config: SignalboxConfig, environment: EnvironmentName): Plan {
  const own = config.environments?.[environment] ?? {};
  const health = { ...config.health, ...own.health };
  return {
    settings: settingsOf(config.build ?? {}),
    env: { ...config.env, ...own.env },
    strategy: strategyOf(own.strategy),
    health: {
      path: health.path ?? "/",
      timeoutMs: health.timeout ?? 5_000,
      intervalMs: health.interval ?? 500,
      minHealthyMs: health.min_healthy_time ?? null,
      deadlineMs: health.deadline ?? 120_000,
      expectStatus: health.expect_status ?? [200, 399],
    },
  };
}

type Environment = NonNullable<NonNullable<SignalboxConfig["environments"]>[EnvironmentName]>;

function strategyOf(strategy: Environment["strategy"]): Strategy {
  if (strategy === undefined || strategy === "instant") return { kind: "instant" };
  const { steps, max_error_rate, min_requests } = strategy.canary;
  return {
    kind: "canary",
    steps: steps.map(({ weight, bake }) => ({ weight, bakeMs: bake })),
    maxErrorRate: max_error_rate ?? DEFAULT_MAX_ERROR_RATE,
    minRequests: min_requests ?? DEFAULT_MIN_REQUESTS,
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
