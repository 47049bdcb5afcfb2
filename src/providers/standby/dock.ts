import { aliasesAssignAlias } from "@vercel/sdk/funcs/aliasesAssignAlias.js";
import type { StandbyTarget } from "../../failover/index.ts";
import type { Clock } from "../../foundation/clock.ts";
import { createVercelTarget, type VercelOptions } from "../target/vercel.ts";
import { createVercelClient, scopeOf } from "../target/vercel-client.ts";
import { unlessStatus } from "../target/vercel-failures.ts";

/** The dock as a standby: driven by the code that drives Vercel, with hosts that are set by hand. */
export function createDockStandby(deps: { clock: Clock }, options: VercelOptions): StandbyTarget {
  const client = createVercelClient(deps, options);
  return {
    ...createVercelTarget(deps, options),
    async assignHost(host, id, signal) {
      const request = { id, ...scopeOf(client), requestBody: { alias: host } };
      await client.sdk((core, sdkOptions) => aliasesAssignAlias(core, request, sdkOptions), { signal });
    },
    standbyHost: (targetProject) =>
      `${targetProject.slice(0, 63 - "-standby".length)}-standby.${options.domain}`,
    async setCrons(targetProjectId, enabled, signal) {
      // A dock that has no such resource runs no crons either.
      return unlessStatus(
        [404],
        async () => {
          const path = `/v1/projects/${encodeURIComponent(targetProjectId)}/crons`;
          await client.json({ method: "PATCH", path, body: { enabled } }, { signal });
          return "done" as const;
        },
        "unsupported",
      );
    },
  };
}
