import { type ChecksPlan, type ConfiguredCheck, completePolicy } from "../checks/index.ts";
import type { EnvironmentName } from "../targets/target.ts";
import type { SignalboxConfig } from "./config.ts";
import { CHECK_FIELDS, type ConfigCheck } from "./config-checks.ts";

/** An environment's own words win, check by check. Of a preview only what is deployed is checked. */
export function resolveChecks(config: SignalboxConfig, environment: EnvironmentName): ChecksPlan {
  const env = { ...config.env, ...config.environments?.[environment]?.env };
  if (environment === "preview") return { configured: {}, uses: {}, env };
  const own = config.environments?.[environment] ?? {};
  const { prometheusEndpoint } = own.monitoring ?? {};
  const all = Object.entries({ ...config.checks, ...own.checks });
  return {
    configured: Object.fromEntries(
      all.map(([name, check]) => [name, check === false ? null : configuredCheck(check)]),
    ),
    uses: { ...own.services, ...(prometheusEndpoint === undefined ? {} : { prometheusEndpoint }) },
    env,
  };
}

function configuredCheck(check: ConfigCheck): ConfiguredCheck {
  const settings = Object.entries(check).filter(([field]) => !CHECK_FIELDS.has(field));
  const policy = completePolicy({
    intervalMs: check.interval,
    timeoutMs: check.timeout,
    failures: check.failures,
    successes: check.successes,
    degradedMs: check.degraded,
    baselineFactor: check.baseline,
    graceMs: check.grace,
    critical: check.critical,
    locations: check.locations,
    dependsOn: check.depends_on,
  });
  return { type: check.type, settings: Object.fromEntries(settings), policy };
}
