import { AppError } from "../../src/foundation/errors.ts";
import type {
  BuildInput,
  Place,
  Target,
  TargetDeployment,
  TargetLogLine,
  Traffic,
} from "../../src/targets/target.ts";

/** How the builds of the simulated target go. May be changed while it runs. */
export type Behaviour = {
  /** Looks at a build before it is ready. */
  buildLooks: number;
  build: "ready" | "error" | "hangs";
  kind: "static" | "server";
  splits: boolean;
  log: readonly string[];
};

type Built = { input: BuildInput; looks: number; canceled: boolean; retired: boolean; was: Behaviour };
type PlaceKey = Pick<Place, "project" | "environment" | "branch" | "pullRequest">;

export type SimulatedTarget = Target & {
  readonly behaviour: Behaviour;
  /** Every effect that really happened, in order: `build dep_1:1:build:app`, `shift dpl_2 50`. */
  readonly effects: string[];
  readonly builds: ReadonlyMap<string, Built>;
  readonly retired: () => string[];
  /** By place: `shop/production`, `shop/preview/main`. */
  readonly places: ReadonlyMap<string, Traffic>;
  readonly held: ReadonlySet<string>;
  trafficAt(place: PlaceKey): Traffic;
};

type Maps = {
  readonly byKey: Map<string, string>;
  readonly builds: Map<string, Built>;
  readonly traffic: Map<string, Record<string, number>>;
  readonly held: Set<string>;
  readonly effects: string[];
};

/**
 * A target that is a few maps. Like a real one it knows keys, never forgets traffic, and has no idea of deployments.
 */
export function createSimulatedTarget(
  now: () => Date,
  behaviourOf: (input: BuildInput) => Partial<Behaviour> = () => ({}),
): SimulatedTarget {
  const behaviour: Behaviour = {
    buildLooks: 0,
    build: "ready",
    kind: "static",
    splits: true,
    log: ["built"],
  };
  const maps: Maps = {
    byKey: new Map(),
    builds: new Map(),
    traffic: new Map(),
    held: new Set(),
    effects: [],
  };
  const { builds, traffic, held, effects } = maps;
  return {
    name: "simulated",
    ping: async () => {},
    behaviour,
    effects,
    builds,
    places: traffic,
    held,
    retired: () => [...builds].filter(([, built]) => built.retired).map(([id]) => id),
    trafficAt: (place) => traffic.get(keyOf(place)) ?? {},
    ensureProject: async (name) => ({ targetProjectId: `prj_${name}` }),
    upload: async () => {},
    ...buildCalls(maps, now, (input) => ({ ...behaviour, ...behaviourOf(input) })),
    domains: async (place) => [`${keyOf(place).replaceAll("/", "-")}.localhost`],
    probeHeaders: async () => ({}),
    canaryAt: () => null,
    abilities: async () => ({ split: behaviour.splits, hold: true }),
    hosts: (place) => [`${keyOf(place).replaceAll("/", "-")}.localhost`],
    publicUrl: (host) => `http://${host}:8080`,
    ...trafficCalls(maps, behaviour),
  };
}

function buildCalls(
  { byKey, builds, effects }: Maps,
  now: () => Date,
  behaviourOf: (input: BuildInput) => Behaviour,
) {
  return {
    async build(input: BuildInput) {
      const known = byKey.get(input.key);
      if (known) return { kind: "accepted" as const, targetDeploymentId: known };
      const id = `dpl_${builds.size + 1}`;
      byKey.set(input.key, id);
      builds.set(id, { input, looks: 0, canceled: false, retired: false, was: behaviourOf(input) });
      effects.push(`build ${input.key}`);
      return { kind: "accepted" as const, targetDeploymentId: id };
    },
    async observe(id: string) {
      const found = built(builds, id);
      found.looks += 1;
      return seen(id, found, now());
    },
    async *logs(id: string): AsyncIterable<TargetLogLine> {
      for (const text of built(builds, id).was.log) yield { at: now(), stream: "stdout", text };
    },
    async cancel(id: string) {
      built(builds, id).canceled = true;
      effects.push(`cancel ${id}`);
    },
    async retire(id: string) {
      built(builds, id).retired = true;
      effects.push(`retire ${id}`);
    },
  };
}

function trafficCalls({ builds, traffic, held, effects }: Maps, behaviour: Behaviour) {
  const calls: Pick<Target, "traffic" | "shift" | "rollback" | "hold" | "unhold" | "vacate"> = {
    traffic: async (place) => ({ ...(traffic.get(keyOf(place)) ?? {}) }),
    async shift({ place, from, to, weight }) {
      if (weight < 100 && !behaviour.splits) return "unsupported";
      const whole = weight === 100 || from === null;
      traffic.set(keyOf(place), whole ? { [to]: 100 } : { [from]: 100 - weight, [to]: weight });
      effects.push(`shift ${to} ${weight}`);
      return "done";
    },
    async rollback({ place, to }) {
      if (built(builds, to).retired) throw new AppError("unprocessable", `${to} was let go.`);
      traffic.set(keyOf(place), { [to]: 100 });
      effects.push(`rollback ${to}`);
    },
    async hold(place) {
      held.add(keyOf(place));
      effects.push(`hold ${keyOf(place)}`);
      return { inFlight: 0 };
    },
    async unhold(place) {
      held.delete(keyOf(place));
      effects.push(`unhold ${keyOf(place)}`);
    },
    async vacate(place) {
      traffic.delete(keyOf(place));
      effects.push(`vacate ${keyOf(place)}`);
    },
  };
  return calls;
}

function built(builds: ReadonlyMap<string, Built>, id: string): Built {
  const found = builds.get(id);
  if (!found) throw new AppError("not_found", `The target has no deployment ${id}.`);
  return found;
}

function seen(id: string, built: Built, now: Date): TargetDeployment {
  const done = built.looks > built.was.buildLooks && built.was.build !== "hangs";
  const ended = built.was.build === "error" ? "error" : "ready";
  return {
    id,
    state: built.canceled ? "canceled" : done ? ended : "building",
    url: `http://${id}.localhost:8080`,
    error:
      done && ended === "error" ? { code: "BUILD_FAILED", message: "npm run build ended with 1." } : null,
    reused: false,
    buildStartedAt: now,
    kind: built.was.kind,
  };
}

export function keyOf({ project, environment, branch, pullRequest }: PlaceKey): string {
  if (environment !== "preview") return `${project}/${environment}`;
  return pullRequest ? `${project}/pr/${pullRequest}` : `${project}/preview/${branch}`;
}
