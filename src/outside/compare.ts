import type { ListedDeployment, PlatformState } from "../targets/target.ts";

export type EventKind =
  | "promoted"
  | "rolled_back"
  | "moved"
  | "deployed"
  | "build_failed"
  | "rolling_release"
  | "pinned"
  | "unpinned"
  | "auto_assign"
  | "paused"
  | "resumed";

/** What a look leaves for the next one. */
export type Seen = {
  readonly production: string | null;
  readonly pinned: boolean;
  readonly autoAssign: boolean | null;
  readonly teamAutoAssign: boolean | null;
  readonly rolling: { readonly canary: string; readonly percent: number } | null;
  readonly paused: boolean;
  /** When the last promotion or rollback was asked for, by the target's clock. */
  readonly movedAtMs: number | null;
  /** How many looks have found something. What has no name of its own at the target is told apart by it. */
  readonly changes?: number;
  /** Of deployments that are not ours: those that were told. */
  readonly told: readonly string[];
  /** Those that our check is at, with since when. */
  readonly judging: Readonly<Record<string, number>>;
  /** Those that it has decided on. */
  readonly judged: readonly string[];
};

export type OutsideEvent = {
  readonly kind: EventKind;
  readonly key: string;
  readonly targetDeploymentId: string | null;
  readonly summary: string;
  readonly details: Readonly<Record<string, unknown>>;
};

/** What we are about ourselves: whoever of these serves is no surprise. */
export type Ours = {
  /** Releases that a deployment of ours has, or is about to have, in production. */
  readonly expected: ReadonlySet<string>;
  /** A deployment of ours moves traffic now: what the project's settings are meanwhile means nothing. */
  readonly moving: boolean;
};

/** More than these are not remembered: they have left the target's own list long ago. */
const REMEMBERED = 200;

/** What has changed from one look to the next and was not ours. Pure. The first look only begins to remember. */
export function compare(
  before: Seen | null,
  now: PlatformState,
  ours: Ours,
): { readonly seen: Seen; readonly events: readonly OutsideEvent[] } {
  const others = now.deployments.filter((each) => !each.ours);
  const over = others.filter(isOver).map(({ id }) => id);
  const seen: Seen = {
    production: now.production,
    pinned: now.pinned,
    // In the middle of a move of ours it is not the team's.
    autoAssign: ours.moving ? (before?.autoAssign ?? null) : now.autoAssign,
    teamAutoAssign: now.teamAutoAssign,
    rolling: now.rolling,
    paused: now.paused,
    movedAtMs: now.lastMove?.at?.getTime() ?? null,
    told: [...new Set([...over, ...(before?.told ?? [])])].slice(0, REMEMBERED),
    judging: before?.judging ?? {},
    judged: before?.judged ?? [],
  };
  if (before === null) return { seen, events: [] };
  const fresh = others.filter((each) => isOver(each) && !before.told.includes(each.id));
  const events = [
    ...productionEvents(before, now, ours),
    ...fresh.flatMap(deploymentEvents),
    ...rollingEvents(before, now, ours),
    ...settingEvents(before, now, ours),
  ];
  const changes = (before.changes ?? 0) + (events.length > 0 ? 1 : 0);
  return { seen: { ...seen, changes }, events };
}

/** The same may happen again and again: a project is paused twice, a domain given back and forth. */
function nth({ changes = 0 }: Seen): string {
  return `#${changes + 1}`;
}

function isOver({ state }: ListedDeployment): boolean {
  return state === "ready" || state === "error";
}

function productionEvents(before: Seen, now: PlatformState, { expected }: Ours): OutsideEvent[] {
  const to = now.production;
  if (to === before.production || to === null || expected.has(to)) return [];
  const move = now.lastMove?.to === to ? now.lastMove : null;
  const kind = move === null ? "moved" : move.kind === "rollback" ? "rolled_back" : "promoted";
  const verb = { moved: "given to", rolled_back: "rolled back to", promoted: "promoted to" }[kind];
  const from = before.production === null ? "" : ` from ${before.production}`;
  const when = move?.at?.toISOString() ?? `after ${before.production} ${nth(before)}`;
  return [
    {
      kind,
      key: `production:${to}:${when}`,
      targetDeploymentId: to,
      summary: `Production was ${verb} ${to}${from}, outside of Signalbox.`,
      details: { from: before.production, to },
    },
  ];
}

function deploymentEvents(each: ListedDeployment): OutsideEvent[] {
  const { id, state, environment, by, commit, branch, error, inspectorUrl, url } = each;
  const of = branch === null ? "" : ` of ${branch}`;
  const what = `${environment} deployment ${id}${of}${by === null ? "" : ` by ${by}`}`;
  const details = { by, commit, branch, environment, url, inspectorUrl };
  if (state === "error") {
    const why = error === null ? "" : `: ${error.replace(/\.$/, "")}`;
    const see = inspectorUrl === null ? "" : ` See ${inspectorUrl}.`;
    const summary = `The build of the ${what} failed, outside of Signalbox${why}.${see}`;
    return [{ kind: "build_failed", key: `failed:${id}`, targetDeploymentId: id, summary, details }];
  }
  // Previews come with every push; who serves production is what matters here.
  if (environment !== "production") return [];
  const summary = `The ${what} was built outside of Signalbox.`;
  return [{ kind: "deployed", key: `deployed:${id}`, targetDeploymentId: id, summary, details }];
}

function rollingEvents(before: Seen, now: PlatformState, { expected }: Ours): OutsideEvent[] {
  const event = (canary: string, step: string, summary: string): OutsideEvent[] => {
    if (expected.has(canary)) return [];
    const key = `rolling:${canary}:${step}:${nth(before)}`;
    return [{ kind: "rolling_release", key, targetDeploymentId: canary, summary, details: { canary } }];
  };
  const { rolling } = now;
  if (rolling !== null && rolling.canary !== before.rolling?.canary) {
    const at = `at ${rolling.percent} %`;
    return event(rolling.canary, "started", `A rolling release of ${rolling.canary} was begun ${at}.`);
  }
  if (rolling !== null && before.rolling && rolling.percent !== before.rolling.percent) {
    const step = `${before.rolling.percent}-${rolling.percent}`;
    return event(
      rolling.canary,
      step,
      `The rolling release of ${rolling.canary} is at ${rolling.percent} % now.`,
    );
  }
  if (rolling === null && before.rolling) {
    const { canary } = before.rolling;
    const how = now.production === canary ? "completed" : "aborted";
    return event(canary, how, `The rolling release of ${canary} was ${how}.`);
  }
  return [];
}

function settingEvents(before: Seen, now: PlatformState, { moving }: Ours): OutsideEvent[] {
  const at = `${now.production}:${nth(before)}`;
  const event = (kind: EventKind, key: string, summary: string): OutsideEvent => {
    return { kind, key: `${kind}:${key}`, targetDeploymentId: now.production, summary, details: {} };
  };
  const events: OutsideEvent[] = [];
  if (now.paused && !before.paused) {
    events.push(event("paused", at, "The project was paused at Vercel: it serves nobody."));
  }
  if (!now.paused && before.paused) events.push(event("resumed", at, "The project was resumed at Vercel."));
  if (now.pinned && !before.pinned) {
    events.push(event("pinned", at, `Production is pinned to ${now.production} by a rollback.`));
  }
  if (!now.pinned && before.pinned) events.push(event("unpinned", at, "Production is not pinned any more."));
  const drifted = !moving && !now.pinned && now.autoAssign !== null && now.autoAssign !== now.teamAutoAssign;
  if (drifted && now.teamAutoAssign !== null && now.autoAssign !== before.autoAssign && !before.pinned) {
    const is = now.autoAssign ? "on" : "off";
    const summary = `That new production builds take the domains was switched ${is}, outside of Signalbox.`;
    events.push(event("auto_assign", `${is}:${at}`, summary));
  }
  return events;
}
