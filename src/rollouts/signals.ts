import { enterStage, isLastStage, type Rollout, type Signal, stageOf, withNote } from "./rollout.ts";

/** Folds what people said since the last look, oldest first, each once. What is late or unknown changes nothing. */
export function foldSignals(rollout: Rollout, signals: readonly Signal[], now: Date): Rollout {
  const fresh = signals.filter(({ id }) => id > rollout.lastSignal).sort((a, b) => a.id - b.id);
  return fresh.reduce((before, signal) => {
    if (signal.id <= before.lastSignal) return before;
    const after = before.aborted === null ? foldSignal(before, signal, now) : before;
    return { ...after, lastSignal: signal.id };
  }, rollout);
}

function foldSignal(rollout: Rollout, signal: Signal, now: Date): Rollout {
  switch (signal.kind) {
    case "pause":
      return rollout.paused === null ? pause(rollout, signal, now) : rollout;
    case "resume":
      return resume(rollout, now);
    case "advance":
      return advance(rollout, signal, now);
    case "promote":
      return promote(rollout, signal);
    case "abort":
      return { ...rollout, paused: null, aborted: `Aborted by ${said(signal)}` };
    default:
      return rollout;
  }
}

function pause(rollout: Rollout, { by, reason }: Signal, now: Date): Rollout {
  return { ...rollout, paused: { sinceMs: now.getTime(), kind: "person", by, reason } };
}

/** After a person's pause the bake goes on where it was; after an inconclusive one the stage begins anew. */
function resume(rollout: Rollout, now: Date): Rollout {
  const { paused } = rollout;
  if (paused === null) return rollout;
  if (paused.kind === "inconclusive") return { ...enterStage(rollout, rollout.index), paused: null };
  const held =
    rollout.reachedAtMs === null ? 0 : now.getTime() - Math.max(paused.sinceMs, rollout.reachedAtMs);
  return { ...rollout, heldMs: rollout.heldMs + Math.max(0, held), paused: null };
}

/**
 * On to the next stage. A stage whose weight was not seen yet has nothing to end: the signal was meant for the one
 * before it (a second click), so it only leaves a pause.
 */
function advance(rollout: Rollout, signal: Signal, now: Date): Rollout {
  if (rollout.reachedAtMs === null) return resume(rollout, now);
  const { weight, bakeMs } = stageOf(rollout);
  if (isLastStage(rollout)) {
    const over = { ...rollout, paused: null, bakeOver: true };
    return bakeMs === 0 ? over : withNote(over, `${weight} %: the watch was ended by ${said(signal)}`);
  }
  const next = { ...enterStage(rollout, rollout.index + 1), paused: null };
  return withNote(next, `${weight} %: advanced by ${said(signal)}`);
}

/** Straight to everything: no stage, no bake, no analysis is left; the probes and the public host are. */
function promote(rollout: Rollout, signal: Signal): Rollout {
  const { weight, bakeMs } = stageOf(rollout);
  const note = `${weight} %: promoted by ${said(signal)}`;
  if (!isLastStage(rollout)) return withNote(toEverything(rollout), note);
  const over = { ...rollout, paused: null, bakeOver: true };
  return bakeMs === 0 || rollout.bakeOver ? over : withNote(over, note);
}

/** At the last stage, with nothing to wait for there. */
export function toEverything(rollout: Rollout): Rollout {
  return { ...enterStage(rollout, rollout.stages.length - 1), bakeOver: true, paused: null };
}

function said({ by, reason }: Signal): string {
  return reason === null || reason.trim() === "" ? by : `${by}: ${reason.trim()}`;
}
