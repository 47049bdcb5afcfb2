import { z } from "zod";
import type { PrimaryVariables } from "../../failover/index.ts";
import type { Clock } from "../../foundation/clock.ts";
import type { VercelOptions } from "../target/vercel.ts";
import { createVercelClient } from "../target/vercel-client.ts";

const Variables = z.object({
  envs: z.array(
    z.object({
      key: z.string(),
      type: z.string(),
      target: z.union([z.string(), z.array(z.string())]).nullish(),
    }),
  ),
});
const Pulled = z.object({ env: z.record(z.string(), z.string()) });

/**
 * The variables of a Vercel project's production. The list says which there are, the pull what is in them; a
 * `sensitive` one is never told, and one that a plan or a permission hides counts as such.
 */
export function createVercelVariables(deps: { clock: Clock }, options: VercelOptions): PrimaryVariables {
  const client = createVercelClient(deps, options);
  return async (targetProjectId, signal) => {
    const project = encodeURIComponent(targetProjectId);
    const source = { source: "signalbox:failover" };
    const [list, pulled] = await Promise.all([
      client.json(
        { method: "GET", path: `/v10/projects/${project}/env`, query: source },
        { signal, read: true },
      ),
      client.json(
        { method: "GET", path: `/v3/env/pull/${project}/production`, query: source },
        { signal, read: true },
      ),
    ]);
    const values = Pulled.parse(pulled.body).env;
    return Variables.parse(list.body)
      .envs.filter(({ type, target }) => type !== "system" && [target].flat().includes("production"))
      .map(({ key, type }) => ({ key, value: type === "sensitive" ? null : (values[key] ?? null) }));
  };
}
