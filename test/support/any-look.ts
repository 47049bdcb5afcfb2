import fc from "fast-check";
import { approvalDigest } from "../../src/deployments/decide-gate.ts";
import type { Plan } from "../../src/deployments/plan-source.ts";
import type { Unwell } from "../../src/deployments/ports.ts";
import type { Observed } from "../../src/deployments/reconcile.ts";
import type { Deployment, Facts, ServiceRelease } from "../../src/deployments/record.ts";
import { isActive, isSettled, STATES, type State } from "../../src/deployments/state.ts";
import type { GateFacts, GateVerdict } from "../../src/gates/index.ts";
import { planRollout, type Strategy } from "../../src/rollouts/index.ts";
import { aDeployment, answer, aService, at, PLAN, T0 } from "./deployment-row.ts";

/** A row as its state can have it, what was observed of it, and when. */
export type Look = { readonly row: Deployment; readonly observed: Observed; readonly now: Date };

const ANALYSIS = {
  intervalMs: 10_000,
  maxErrorRate: 0.02,
  maxLatencyMs: null,
  compare: false,
  confidence: 0.95,
  tolerance: 0.25,
  effectSize: 1,
  minRequests: 10,
  failureLimit: 1,
  queries: [],
} as const;
const STRATEGIES: readonly Strategy[] = [
  { kind: "instant" },
  { kind: "blue_green", watchMs: 60_000, analysis: ANALYSIS },
  {
    kind: "canary",
    steps: [
      { weight: 0, bakeMs: 5_000 },
      { weight: 10, bakeMs: 30_000 },
    ],
    analysis: ANALYSIS,
  },
  {
    kind: "canary",
    steps: [
      { weight: 10, bakeMs: 0 },
      { weight: 50, bakeMs: null },
    ],
    analysis: { ...ANALYSIS, minRequests: 0 },
  },
];
const APPROVALS = { required: 1, reviewers: [], selfApproval: false, expiresMs: 600_000 };

const millis = fc.integer({ min: -700_000, max: 700_000 }).map((ms) => T0.getTime() + ms);
const orNull = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });
const orNone = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const plans: fc.Arbitrary<Plan> = fc.record({
  strategy: fc.constantFrom(...STRATEGIES),
  gate: fc.record({ approvals: fc.constantFrom(null, APPROVALS), waitMs: fc.constantFrom(0, 30_000) }),
  schema: orNull(
    fc.record({
      expand: fc.constantFrom([], ["1.sql"]),
      contract: fc.constantFrom([], ["2.sql"]),
      timeoutMs: fc.constant(60_000),
      hold: orNull(fc.constant({ maxMs: 10_000, maxRequests: 10 })),
    }),
  ),
  progressDeadlineMs: fc.constantFrom(null, null, 300_000),
  rollbackWindowMs: fc.constant(PLAN.rollbackWindowMs),
  steppedRollback: fc.boolean(),
  drainMs: fc.constant(0),
});

const steps = fc.constantFrom(
  [],
  [
    { weight: 10, bakeMs: 0 },
    { weight: 60, bakeMs: 5_000 },
    { weight: 100, bakeMs: 0 },
  ],
);
const schemaFacts = fc.record({
  held: fc.boolean(),
  expanded: fc.boolean(),
  version: fc.constant({ expand: null, contract: null }),
});

/** What a row remembers, only of what its state can have. */
function facts(state: State, plan: Plan): fc.Arbitrary<Facts> {
  const rollout = fc
    .record({
      previous: fc.constantFrom("dpl_a_1", null),
      index: fc.nat(3),
      opened: fc.boolean(),
      reachedAtMs: orNull(millis),
      bakeOver: fc.boolean(),
      failures: fc.nat(3),
      lastSignal: fc.nat(3),
      nextAnalysisAtMs: orNull(millis),
      paused: orNull(
        fc.record({
          sinceMs: millis,
          kind: fc.constant("person" as const),
          by: fc.constant("ann"),
          reason: fc.constant(null),
        }),
      ),
    })
    .map(({ previous, index, ...more }) => {
      const planned = planRollout(plan.strategy, previous);
      return { ...planned, ...more, index: Math.min(index, planned.stages.length - 1) };
    });
  const rollback = fc.record({
    askedAtMs: millis,
    ready: fc.boolean(),
    steps,
    index: fc.nat(3),
    reachedAtMs: orNull(millis),
  });
  const held = state === "migrating" || isEnd(state);
  return fc.record({
    attempts: orNone(fc.record({ count: fc.nat(12), error: fc.constant("503") })),
    startedAtMs: orNone(millis),
    waitedMs: orNone(fc.nat(100_000)),
    askedAtMs: orNone(millis),
    rollout: state === "shifting" ? rollout : fc.constant(undefined),
    pausedAtMs: state === "shifting" ? orNone(millis) : fc.constant(undefined),
    schema: plan.schema && held ? orNone(schemaFacts) : fc.constant(undefined),
    rollback: state === "rolling_back" ? orNone(rollback) : fc.constant(undefined),
    settleAtMs: state === "rolling_back" ? orNone(millis) : fc.constant(undefined),
    cleanupAsked: isEnd(state) ? orNone(fc.boolean()) : fc.constant(undefined),
  });
}

const isEnd = (state: State) => isSettled(state) && state !== "live";

const verification = orNull(fc.record({ healthySinceMs: orNull(millis), lastFailure: fc.constant(null) }));

function service(state: State, name: string): fc.Arbitrary<ServiceRelease> {
  const early = state === "building" || isEnd(state);
  return fc
    .record({
      unchanged: fc.boolean(),
      asked: early ? fc.boolean() : fc.constant(true),
      built: early ? fc.boolean() : fc.constant(true),
      kind: fc.constantFrom("static" as const, "server" as const),
      verification,
      opened: fc.boolean(),
      previous: fc.boolean(),
      returns: state === "rolling_back" ? fc.boolean() : fc.constant(false),
      url: fc.boolean(),
    })
    .map(({ unchanged, asked, built, previous, returns, url, ...more }) => {
      const former = previous && !unchanged ? `dpl_${name}_1` : null;
      const formerUrl = former && url ? `http://${former}.localhost` : null;
      const back = returns ? { rollbackToTargetId: former, rollbackToUrl: formerUrl } : {};
      const known = { ...more, unchanged, previousTargetId: former, previousUrl: formerUrl, ...back };
      if (unchanged) return aService(name, { ...known, weight: 100 });
      if (!asked)
        return aService(name, { ...known, targetDeploymentId: null, url: null, kind: null, built: false });
      return aService(name, { ...known, built });
    });
}

const states = fc.constantFrom(...STATES);

function rowsOf(state: State): fc.Arbitrary<Deployment> {
  const bare = state === "queued" || state === "preparing";
  return plans.chain((plan) =>
    fc
      .record({
        facts: facts(state, plan),
        services: bare
          ? fc.constant([])
          : fc
              .integer({ min: 1, max: 3 })
              .chain((many) =>
                fc.tuple(...["a", "b", "c"].slice(0, many).map((name) => service(state, name))),
              ),
        late: isActive(state) || state === "queued" ? orNull(millis) : fc.constant(null),
        cleanup: isEnd(state)
          ? fc.constantFrom(null, "cancel_build" as const, "retire" as const, "vacate" as const)
          : fc.constant(null),
        contract: state === "live" ? orNull(millis) : fc.constant(null),
        rollbackToId: state === "rolling_back" ? fc.constantFrom(null, "dep_1") : fc.constant(null),
        outcome: fc.constantFrom(null, "failure" as const),
        environment: fc.constantFrom("production" as const, "staging" as const),
      })
      .map(({ late, contract, ...row }) =>
        aDeployment(state, {
          ...row,
          plan: bare ? null : plan,
          deadlineAt: late === null ? null : new Date(late),
          contractAt: contract === null ? null : new Date(contract),
        }),
      ),
  );
}

const probe = fc.constantFrom(answer(200), answer(200), answer(503), {
  ok: false,
  status: null,
  latencyMs: 1,
  error: "refused",
});

function byName<T>(
  names: readonly string[],
  value: fc.Arbitrary<T | undefined>,
): fc.Arbitrary<Record<string, T>> {
  return fc
    .tuple(...names.map(() => value))
    .map((values) =>
      Object.fromEntries(
        names.flatMap((name, at) => (values[at] === undefined ? [] : [[name, values[at] as T]])),
      ),
    );
}

function gateOf(row: Deployment): fc.Arbitrary<GateFacts> {
  const digest = approvalDigest(row);
  const word = {
    id: "apr_1",
    deploymentId: row.id,
    actorId: "tok_bob",
    actorName: "bob",
    comment: null,
    at: T0,
  };
  const said = (right: boolean, decision: "approve" | "reject") => ({
    ...word,
    digest: right ? digest : "stale",
    decision,
  });
  const lock = {
    id: "l",
    projectId: null,
    environment: null,
    ownerId: null,
    ownerName: "cy",
    reason: "sale",
    createdAt: T0,
  };
  return fc.record({
    approvals: fc.constantFrom([], [said(true, "approve")], [said(false, "approve")], [said(true, "reject")]),
    locks: fc.constantFrom([], [], [{ ...lock, expiresAt: null }], [{ ...lock, expiresAt: at(100_000) }]),
    freezes: fc.constant([]),
    unwell: fc.constantFrom([], [], [{ name: "database", since: T0, message: "refused" }]),
    breakGlass: fc.constantFrom(null, null, {
      deploymentId: row.id,
      actorName: "owner",
      reason: "fire",
      at: T0,
    }),
  });
}

const down = { name: "web", of: "service", message: "status 500" } as const;
const unwell = fc.constantFrom<Unwell[][]>(
  [],
  [],
  [{ ...down, since: T0 }],
  [{ ...down, since: new Date(0) }],
);

function observedOf(row: Deployment): fc.Arbitrary<Observed> {
  const names = row.services.map((each) => each.name);
  const build = {
    id: "d",
    url: "http://d",
    error: null,
    reused: false,
    buildStartedAt: null,
    kind: "server",
  } as const;
  const traffic = row.services.map((each) =>
    fc.constantFrom(0, 10, 50, 100, 100).map((weight) => {
      const other = each.previousTargetId ?? "dpl_other";
      const all = { [each.targetDeploymentId ?? "none"]: weight, [other]: 100 - weight };
      return [each.name, Object.fromEntries(Object.entries(all).filter(([, share]) => share > 0))] as const;
    }),
  );
  const publicly = fc.tuple(fc.constantFrom(200, 200, 503), fc.constantFrom("own", "own", "other", "none"));
  return fc.record({
    blockedBy: fc.constantFrom(null, null, "dep_1"),
    start: fc.constantFrom<GateVerdict | null>(
      null,
      { is: "open", because: "." },
      { is: "waits", for: "lock", reason: ".", until: T0 },
    ),
    builds: byName(
      names,
      fc.constantFrom(
        undefined,
        { ...build, state: "building" } as const,
        { ...build, state: "ready" } as const,
        { ...build, state: "error" } as const,
        { ...build, state: "canceled" } as const,
        "gone" as const,
      ),
    ),
    gate: orNull(gateOf(row)),
    traffic: orNull(fc.tuple(...traffic).map((pairs) => Object.fromEntries(pairs))),
    previousUrls: fc.constant({}),
    probes: byName(names, orNone(fc.tuple(probe))),
    baseline: byName(names, orNone(fc.tuple(probe))),
    publicProbes: orNull(
      byName(
        row.services.map((each) => each.name),
        orNone(publicly),
      ).map((all) =>
        Object.fromEntries(
          Object.entries(all).map(([name, [status, from]]) => {
            const id = row.services.find((each) => each.name === name)?.targetDeploymentId ?? "x";
            return [
              name,
              from === "none" ? answer(status) : answer(status, from === "own" ? id : "dpl_other"),
            ];
          }),
        ),
      ),
    ),
    counters: fc.constant(null),
    queries: fc.constant(null),
    unwell,
    inFlightBefore: fc.constantFrom(null, 0, 3),
    signals: fc.constantFrom(
      [],
      [],
      ...(["pause", "resume", "advance", "promote", "abort"] as const).map((kind) => [
        { id: 9, kind, by: "ann", reason: null },
      ]),
    ),
  });
}

export const looks: fc.Arbitrary<Look> = states.chain((state) => looksAt(state));

export function looksAt(...some: readonly State[]): fc.Arbitrary<Look> {
  return fc
    .constantFrom(...some)
    .chain(rowsOf)
    .chain((row) =>
      fc.record({ row: fc.constant(row), observed: observedOf(row), now: millis.map((ms) => new Date(ms)) }),
    );
}
