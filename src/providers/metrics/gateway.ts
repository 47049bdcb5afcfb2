import type { Metrics } from "../../deployments/index.ts";
import { messageOf } from "../../foundation/errors.ts";
import type { Log } from "../../foundation/log.ts";
import { readCounters } from "../../gateway/index.ts";

/** The gateway's own counters. One that is down or starting has none, which is no verdict on any release. */
export function createGatewayMetrics(deps: { adminSocket: string; log: Log }): Metrics {
  return {
    async readCounters() {
      try {
        return (await readCounters(deps.adminSocket)).releases;
      } catch (error) {
        deps.log.debug({ reason: messageOf(error) }, "the gateway's counters could not be read");
        return null;
      }
    },
  };
}
