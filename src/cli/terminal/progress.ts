import type { Clock } from "../../foundation/clock.ts";
import { type Deployment, isSettled, type LogLine } from "../client/deployment.ts";
import type { Paint } from "./paint.ts";
import { type PhaseLine, phaseLines, weightText } from "./phases.ts";
import { formatBar, formatDuration } from "./quantity.ts";
import type { Screen } from "./screen.ts";
import { harmless } from "./width.ts";

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
  const phases = createPhaseTeller(deps, () => lastLogs.at(-1) ?? null);
  return {
    step: (label) => beginStep(deps, label),
    deployment: (deployment) => phases(deployment),
    log(line) {
      lastLogs = [...lastLogs, line].slice(-TAIL_LINES);
    },
    note: (text) => screen.line(text),
    stop: () => screen.moving(null),
    tail: () => lastLogs.map((line) => harmless(line.text)),
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
function createPhaseTeller(deps: Deps, lastLog: () => LogLine | null): (next: Deployment) => void {
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
    const share = weightText(next);
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

function phaseStart(deployment: Deployment): string {
  return deployment.phases.findLast((phase) => phase.state === deployment.state)?.at ?? deployment.updatedAt;
}

function movingText(
  { paint, clock }: Deps,
  shown: { deployment: Deployment; now: PhaseLine; spinner: string; log: LogLine | null; sinceMs: number },
): string {
  const { deployment, log } = shown;
  const head = `${paint.cyan(shown.spinner)} ${shown.now.label}`;
  const elapsedMs = clock.monotonicMs() - shown.sinceMs;
  const elapsed = paint.dim(formatDuration(Math.floor(elapsedMs / 100) * 100));
  const share = weightText(deployment);
  if (share !== null) {
    return `${head}  ${formatBar((deployment.weight ?? 0) / 100, BAR_WIDTH)} ${share}  ${elapsed}`;
  }
  const tail = deployment.state === "building" && log !== null ? paint.dim(`  │ ${harmless(log.text)}`) : "";
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
