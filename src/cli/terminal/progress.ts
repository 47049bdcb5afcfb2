import type { Clock } from "../../foundation/clock.ts";
import { type Deployment, isSettled, type LogLine } from "../client/deployment.ts";
import type { Paint } from "./paint.ts";
import { type PhaseLine, phaseLines, weightText } from "./phases.ts";
import { formatBar, formatDuration } from "./quantity.ts";
import { logText, servicesText, verdictText } from "./rollout-view.ts";
import type { Screen } from "./screen.ts";
import { blockedText, waitingLines } from "./waiting.ts";

/** Tells a deployment's course: a line for each phase when it is over, and a moving one for the present. */
export type Progress = {
  /** Begins a step of our own; the returned function ends it with a line. */
  step(label: string): { update(label: string, share?: number): void; done(line: string): void };
  deployment(deployment: Deployment): void;
  log(line: LogLine): void;
  note(text: string): void;
  /** Takes the moving line away. */
  stop(): void;
  /** The last lines of the build's log, bare. */
  tail(): readonly string[];
};

const TAIL_LINES = 20;
const BAR_WIDTH = 20;

type Deps = {
  screen: Screen;
  paint: Paint;
  clock: Clock;
  /** Without a terminal, a phase is also told when it begins: the reader of a CI log sees what it hangs in. */
  isTTY: boolean;
};

export function createProgress(deps: Deps): Progress {
  const { screen } = deps;
  let lastLogs: LogLine[] = [];
  let known: Deployment | null = null;
  const tail = () => lastLogs.map((line) => logText(line, known));
  const phases = createPhaseTeller(deps, () => tail().at(-1) ?? null);
  const rollout = createRolloutTeller(deps);
  return {
    step: (label) => beginStep(deps, label),
    deployment(deployment) {
      known = deployment;
      phases(deployment);
      rollout(deployment);
    },
    log(line) {
      lastLogs = [...lastLogs, line].slice(-TAIL_LINES);
    },
    note: (text) => screen.line(text),
    stop: () => screen.moving(null),
    tail,
  };
}

function beginStep({ screen, paint, clock }: Deps, first: string): ReturnType<Progress["step"]> {
  const startedMs = clock.monotonicMs();
  let label = first;
  let share: number | undefined;
  screen.moving((spinner) => {
    const bar = share === undefined ? "" : `  ${formatBar(share, BAR_WIDTH)}`;
    return `${paint.cyan(spinner)} ${label}${bar}`;
  });
  return {
    update(next, nextShare) {
      label = next;
      share = nextShare;
    },
    done(line) {
      screen.moving(null);
      screen.line(phaseText(paint, "done", line, clock.monotonicMs() - startedMs));
    },
  };
}

/** Returns what takes every new version of the deployment, and writes what is new in it. */
function createPhaseTeller(deps: Deps, lastLog: () => string | null): (next: Deployment) => void {
  const { screen, paint, clock } = deps;
  let told = 0;
  let present = "";
  let presentSinceMs = 0;
  return (next) => {
    const lines = phaseLines(next);
    const now = lines.find((line) => line.outcome === "now");
    for (const line of lines.slice(told)) {
      // A phase whose end is not recorded yet is told with the next version, which knows how long it took.
      if (line.outcome === "now" || (line.durationMs === null && !isSettled(next))) break;
      screen.moving(null);
      screen.line(phaseText(paint, line.outcome, line.label, line.durationMs));
      told++;
    }
    if (isSettled(next)) return screen.moving(null);
    if (now === undefined) return;
    const share = shareText(next);
    const text = share === null ? `${now.label} …` : `${now.label}: ${share}`;
    if (present !== `${told} ${text}`) {
      present = `${told} ${text}`;
      // How long it has lasted is the server's knowledge; from then on our own clock counts, whatever it shows.
      const knownMs = new Date(next.updatedAt).getTime() - new Date(phaseStart(next)).getTime();
      presentSinceMs = clock.monotonicMs() - Math.max(0, knownMs || 0);
      if (!deps.isTTY) screen.line(`  ${text}`);
    }
    screen.moving((spinner) =>
      movingText(deps, { deployment: next, now, spinner, log: lastLog(), sinceMs: presentSinceMs }),
    );
  };
}

/** Writes what is judged badly, and what a person has to do, each once. */
function createRolloutTeller({ screen, paint }: Deps): (next: Deployment) => void {
  let verdictsUntil = "";
  let waiting = "";
  return (next) => {
    const verdicts = next.rollout?.verdicts ?? [];
    for (const verdict of verdicts.filter(({ at }) => at > verdictsUntil)) {
      if (verdict.is !== "pass") screen.line(`  ${verdictText(verdict, paint)}`);
    }
    verdictsUntil = verdicts.at(-1)?.at ?? verdictsUntil;
    const blocked = blockedText(next);
    const held = blocked === null ? [] : [`${paint.yellow("!")} ${blocked}`];
    const lines = [...held, ...waitingLines(next, paint)];
    // The next try moves on with each one; what holds it up is told once.
    const text = [next.blocked?.by ?? "", ...lines.slice(held.length)].join("\n");
    if (text !== waiting) for (const line of lines) screen.line(line);
    waiting = text;
  };
}

/** The share of the traffic, of several services of each; null where there is none to tell. */
function shareText(deployment: Deployment): string | null {
  const each = deployment.state === "shifting" ? servicesText(deployment) : null;
  return each ?? weightText(deployment);
}

function phaseStart(deployment: Deployment): string {
  return deployment.phases.findLast((phase) => phase.state === deployment.state)?.at ?? deployment.updatedAt;
}

function movingText(
  { paint, clock }: Deps,
  shown: { deployment: Deployment; now: PhaseLine; spinner: string; log: string | null; sinceMs: number },
): string {
  const { deployment, log } = shown;
  const head = `${paint.cyan(shown.spinner)} ${shown.now.label}`;
  const elapsedMs = clock.monotonicMs() - shown.sinceMs;
  const elapsed = paint.dim(formatDuration(Math.floor(elapsedMs / 100) * 100));
  const share = shareText(deployment);
  if (share !== null) {
    return `${head}  ${formatBar((deployment.weight ?? 0) / 100, BAR_WIDTH)} ${share}  ${elapsed}`;
  }
  const tail = deployment.state === "building" && log !== null ? paint.dim(`  │ ${log}`) : "";
  return `${head}  ${elapsed}${tail}`;
}

/** `✓ Built  12.4 s` */
export function phaseText(
  paint: Paint,
  outcome: PhaseLine["outcome"],
  label: string,
  durationMs: number | null,
): string {
  const mark = { done: paint.green("✓"), broken: paint.red("✗"), now: paint.cyan("…") }[outcome];
  const duration = durationMs === null ? "" : `  ${paint.dim(formatDuration(durationMs))}`;
  return `${mark} ${label}${duration}`;
}
