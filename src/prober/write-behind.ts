import type { FoldedRound } from "../checks/index.ts";
import type { Clock } from "../foundation/clock.ts";
import { errorCodeOf, messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";

export type WriterDeps = {
  readonly clock: Clock;
  readonly log: Log;
  /** Writes them all or none, and answers the ids of the checks that are not ours any more. */
  record(batch: readonly FoldedRound[]): Promise<{ readonly refused: readonly string[] }>;
  onRefused(checkIds: readonly string[]): void;
};

export type Writer = {
  /** `urgent`: a state has changed, and somebody waits for it. */
  add(folded: FoldedRound, urgent: boolean): void;
  /** Resolves once what is here now is written, or cannot be. */
  flush(): Promise<void>;
  /** How much waits, for how long; and what was dropped since the last time. */
  report(): { readonly unwritten: number; readonly lagMs: number; readonly dropped: number };
  close(): Promise<void>;
};

const EVERY_MS = 500;
/** What changes in the same moment goes in one batch. */
const URGENT_MS = 2;
const BATCH_MAX = 1_000;
const KEPT_MAX = 50_000;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 2_000;

type Kept = FoldedRound & { readonly at: number };

/**
 * Rounds on their way into the database: in batches, in their order. While it is away they are kept; when they are too
 * many, the oldest of those that changed nothing go first, and are counted.
 */
export function createWriter(deps: WriterDeps): Writer {
  let waiting: Kept[] = [];
  let timer: NodeJS.Timeout | null = null;
  let timerIsUrgent = false;
  let writing: Promise<boolean> | null = null;
  let retryMs = RETRY_FIRST_MS;
  let dropped = 0;

  function arm(ms: number, urgent: boolean): void {
    if (timer && (timerIsUrgent || !urgent)) return;
    if (timer) clearTimeout(timer);
    timerIsUrgent = urgent;
    timer = setTimeout(() => {
      timer = null;
      void write();
    }, ms);
  }

  /** False: the database did not take it. */
  function write(): Promise<boolean> {
    writing ??= writeAll().finally(() => {
      writing = null;
      if (waiting.length > 0) arm(retryMs > RETRY_FIRST_MS ? retryMs : EVERY_MS, false);
    });
    return writing;
  }

  async function writeAll(): Promise<boolean> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH_MAX);
      // Others may be added and dropped meanwhile; these are taken out only once they are written.
      waiting = waiting.slice(BATCH_MAX);
      const written = await tryBatch(batch);
      if (!written) {
        waiting = [...batch, ...waiting];
        retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
        return false;
      }
      retryMs = RETRY_FIRST_MS;
    }
    return true;
  }

  async function tryBatch(batch: readonly Kept[]): Promise<boolean> {
    try {
      const { refused } = await deps.record(batch);
      if (refused.length > 0) deps.onRefused(refused);
      return true;
    } catch (error) {
      if (!isOurFault(error)) {
        deps.log.warn(
          { reason: messageOf(error), rounds: waiting.length },
          "rounds could not be written yet",
        );
        return false;
      }
      if (batch.length > 1) {
        const middle = batch.length >> 1;
        return (await tryBatch(batch.slice(0, middle))) && (await tryBatch(batch.slice(middle)));
      }
      dropped++;
      deps.log.error({ err: error, checkId: batch[0]?.check.id }, "a round cannot be written; it is dropped");
      return true;
    }
  }

  function makeRoom(): void {
    const surplus = waiting.length - KEPT_MAX;
    if (surplus <= 0) return;
    let left = surplus + KEPT_MAX / 10;
    const kept = waiting.filter((one) => one.before?.state !== one.after.state || left-- <= 0);
    dropped += waiting.length - kept.length;
    waiting = kept;
  }

  return {
    add(folded, urgent) {
      waiting.push({ ...folded, at: deps.clock.monotonicMs() });
      if (waiting.length > KEPT_MAX) makeRoom();
      // While the database is away, urgency changes nothing.
      if (!writing) arm(retryMs > RETRY_FIRST_MS ? retryMs : urgent ? URGENT_MS : EVERY_MS, urgent);
      else if (urgent) void writing.then((written) => written && arm(URGENT_MS, true));
    },
    async flush() {
      if (writing && !(await writing)) return;
      await write();
    },
    report() {
      const first = waiting[0];
      const lagMs = first ? deps.clock.monotonicMs() - first.at : 0;
      const report = { unwritten: waiting.length, lagMs, dropped };
      dropped = 0;
      return report;
    },
    async close() {
      if (writing) await writing;
      await write();
      if (timer) clearTimeout(timer);
      timer = null;
      waiting = [];
    },
  };
}

/** The data of a row, not the database: trying again would fail for ever. Source: PostgreSQL manual, appendix A. */
function isOurFault(error: unknown): boolean {
  return /^2[23]...$/.test(errorCodeOf(error) ?? "");
}
