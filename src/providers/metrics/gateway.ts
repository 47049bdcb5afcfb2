import type { Metrics } from "../../deployments/index.ts";
import { messageOf } from "../../foundation/errors.ts";
import type { Log } from "../../foundation/log.ts";
import { LATENCY_BOUNDS_MS, type ReleaseCounters, readCounters } from "../../gateway/index.ts";

/**
 * The gateway's own counters: requests, errors, and the histogram of the time to first byte. One that is down or
 * starting has none, which is no verdict on any release; nor is there one in counters of another shape, as an adopted
 * gateway of another version may have them.
 */
export function createGatewayMetrics(deps: {
  adminSocket: string;
  log: Log;
}): Pick<Metrics, "readCounters" | "readInFlight"> {
  return {
    async readInFlight(releases) {
      try {
        const counted = (await readCounters(deps.adminSocket)).releases;
        // One that this gateway does not serve is another's, which nobody here can see.
        if (releases.some((id) => counted[id] === undefined)) return null;
        return releases.reduce((sum, id) => sum + (counted[id]?.inFlight ?? 0), 0);
      } catch (error) {
        deps.log.debug({ reason: messageOf(error) }, "the gateway's counters could not be read");
        return null;
      }
    },
    async readCounters(services) {
      try {
        const { releases } = await readCounters(deps.adminSocket);
        if (!Object.values(releases).every(isWhole)) {
          deps.log.debug({}, "the gateway's counters have another shape than this version reads");
          return null;
        }
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

function isWhole({ requests, errors5xx, latency, latencySumMs }: ReleaseCounters): boolean {
  const numbers = [requests, errors5xx, latencySumMs, ...(Array.isArray(latency) ? latency : [])];
  return numbers.length === LATENCY_BOUNDS_MS.length + 4 && numbers.every(Number.isFinite);
}
