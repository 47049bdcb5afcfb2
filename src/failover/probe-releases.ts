import { type HealthPolicy, probeRequest } from "../deployments/index.ts";
import type { FailoverDeps } from "./deps.ts";
import { sightingOf } from "./sighting.ts";
import type { StandbyRelease } from "./standby.ts";

const ANY_STATUS = [100, 599] as const;

/** Asks every release by every check of its service's configuration. Null: all are good; else the first that is not. */
export async function probeReleases(
  { probe }: Pick<FailoverDeps, "probe">,
  releases: readonly StandbyRelease[],
  healthOf: (service: string) => HealthPolicy | null,
  signal: AbortSignal,
): Promise<string | null> {
  const failures = await Promise.all(
    releases.flatMap(({ service, url }): Promise<string | null>[] => {
      const health = healthOf(service);
      if (url === null || health === null) return [Promise.resolve(`${service} has no address yet`)];
      return health.checks.map(async (check) => {
        const result = await probe(probeRequest(url, check, health), signal);
        const expected = check.type === "http" ? check.expectStatus : ANY_STATUS;
        const seen = sightingOf(result, expected);
        return seen.kind === "good" ? null : `${service}: ${seen.detail}`;
      });
    }),
  );
  return failures.find((failure) => failure !== null) ?? null;
}
