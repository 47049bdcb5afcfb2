import type { Metrics } from "../../deployments/index.ts";
import { messageOf } from "../../foundation/errors.ts";
import type { Log } from "../../foundation/log.ts";
import { readCounters } from "../../gateway/index.ts";

/** The gateway's own counters. One that is down or starting has none, which is no verdict on any release. */
export function createGatewayMetrics(deps: {
  adminSocket: string;
  log: Log;
}): Pick<Metrics, "readCounters"> {
  return {
    async readCounters(services) {
      try {
        const { releases } = await readCounters(deps.adminSocket);
        const of = (id: string | null) => (id === null ? null : (releases[id] ?? null));
        return services.map(({ service, canary, baseline }) => ({
          service,
          canary: of(canary),
          baseline: of(baseline),
        }));
      } catch (error) {
        deps.log.debug({ reason: messageOf(error) }, "the gateway's counters could not be read");
        return null;
      }
    },
  };
}
