import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import type { DeploymentView, Engine } from "../../src/deployments/index.ts";
import type { Deployment } from "../../src/deployments/record.ts";
import { engineStand, makeProject, PREPARATION, type Stand, type StandPreparation } from "./engine-stand.ts";

/** One engine for a file of tests, and a project of its own for each of them. */
export function useProjects(prefix = "p") {
  let stand: Stand;
  let count = 0;
  beforeAll(async () => {
    stand = await engineStand();
  });
  afterAll(() => stand[Symbol.asyncDispose]());
  beforeEach(async () => {
    count += 1;
    await makeProject(stand.pool, name());
    const usual = { buildLooks: 0, build: "ready", kind: "static", splits: true, log: ["built"] };
    Object.assign(stand.target.behaviour, usual);
    stand.world.preparation = PREPARATION;
    stand.world.prepareGate = Promise.resolve();
    stand.world.failing = null;
    stand.world.barrier = null;
    stand.world.unwell = [];
  });
  const name = () => `${prefix}${count}`;
  const api = () => stand.http(stand.as.deployer);
  const view = async (id: string): Promise<DeploymentView> =>
    (await api().get(`/status/${id}`)).body.deployment;
  const production = { environment: "production", branch: "main", pullRequest: null } as const;
  return {
    stand: () => stand,
    name,
    projectId: () => `prj_${name()}`,
    ledger: (): Engine["deps"]["ledger"] => stand.engine.deps.ledger,
    here: (body: Record<string, unknown> = {}) => ({ project: name(), ...body }),
    api,
    viewer: () => stand.http(stand.as.viewer),
    view,
    stateOf: async (id: string) => (await view(id)).state,
    row: async (id: string): Promise<Deployment> => {
      const row = await stand.engine.deps.ledger.load(id);
      if (!row) throw new Error(`no deployment ${id}`);
      return row;
    },
    /** Of the production environment; of one of several services by its name. */
    traffic: (service = "app") =>
      stand.target.trafficAt({ ...production, project: service === "app" ? name() : `${name()}-${service}` }),
    rollback: (body: Record<string, unknown> = {}, headers: Record<string, string> = {}) =>
      api().post("/rollback", { environment: "production", project: name(), ...body }, headers),
    audited: (action: string, subject: string) =>
      stand.db
        .selectFrom("audit_log")
        .select(["actor_name", "action"])
        .where("action", "=", action)
        .where("subject_id", "=", subject)
        .execute(),
    prepare: (preparation: Partial<StandPreparation>) => {
      stand.world.preparation = { ...PREPARATION, ...preparation };
    },
    holdBuilds: () => {
      stand.target.behaviour.build = "hangs";
    },
    /** Generous: only a hang fails. */
    eventually: <T>(look: () => T) => expect.poll(() => look(), { timeout: 30_000, interval: 20 }),
  };
}
