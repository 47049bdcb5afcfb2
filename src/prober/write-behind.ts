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

const EVERY_MS = 250;
/** What changes in the same moment goes in one batch. */
const URGENT_MS = 2;
/** Putting a thousand rounds in order takes longer than a tick may be late. */
const BATCH_MAX = 125;
const KEPT_MAX = 50_000;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 2_000;

type Kept = FoldedRound & { readonly at: number };

/**
 * Rounds on their way into the database: in batches, in their order. While it is away they are kept; when they are too
 * many, the oldest of those that changed nothing go first, and are counted.
 */
export function createWriter(deps: WriterDeps): Writer {
  return new BatchWriter(deps);
}

class BatchWriter implements Writer {
  readonly #deps: WriterDeps;
  #waiting: Kept[] = [];
  #timer: NodeJS.Timeout | null = null;
  #timerIsUrgent = false;
  #writing: Promise<boolean> | null = null;
  #retryMs = RETRY_FIRST_MS;
  #dropped = 0;

  constructor(deps: WriterDeps) {
    this.#deps = deps;
  }

  add(folded: FoldedRound, urgent: boolean): void {
    this.#waiting.push({ ...folded, at: this.#deps.clock.monotonicMs() });
    if (this.#waiting.length > KEPT_MAX) this.#makeRoom();
    // While the database is away, urgency changes nothing.
    if (!this.#writing) this.#arm(this.#pauseMs(urgent ? URGENT_MS : EVERY_MS), urgent);
    else if (urgent) void this.#writing.then((written) => written && this.#arm(URGENT_MS, true));
  }

  async flush(): Promise<void> {
    if (this.#writing && !(await this.#writing)) return;
    await this.#write();
  }

  report() {
    const first = this.#waiting[0];
    const lagMs = first ? this.#deps.clock.monotonicMs() - first.at : 0;
    const report = { unwritten: this.#waiting.length, lagMs, dropped: this.#dropped };
    this.#dropped = 0;
    return report;
  }

  async close(): Promise<void> {
    if (this.#writing) await this.#writing;
    await this.#write();
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#waiting = [];
  }

  #pauseMs(usual: number): number {
    return this.#retryMs > RETRY_FIRST_MS ? this.#retryMs : usual;
  }

  #arm(ms: number, urgent: boolean): void {
    if (this.#timer && (this.#timerIsUrgent || !urgent)) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timerIsUrgent = urgent;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#write();
    }, ms);
  }

  /** False: the database did not take it. */
  #write(): Promise<boolean> {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
      if (this.#waiting.length > 0) this.#arm(this.#pauseMs(EVERY_MS), false);
    });
    return this.#writing;
  }

  async #writeAll(): Promise<boolean> {
    // What comes meanwhile has its own turn: written as it comes, each round would cost a transaction.
    for (let left = this.#waiting.length; left > 0 && this.#waiting.length > 0; ) {
      const batch = this.#waiting.slice(0, Math.min(left, BATCH_MAX));
      this.#waiting = this.#waiting.slice(batch.length);
      left -= batch.length;
      const written = await this.#tryBatch(batch);
      if (!written) {
        this.#waiting = [...batch, ...this.#waiting];
        this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
        return false;
      }
      this.#retryMs = RETRY_FIRST_MS;
    }
    return true;
  }

  async #tryBatch(batch: readonly Kept[]): Promise<boolean> {
    const { log, record, onRefused } = this.#deps;
    try {
      const { refused } = await record(batch);
      if (refused.length > 0) onRefused(refused);
      return true;
    } catch (error) {
      if (!isOurFault(error)) {
        const reason = messageOf(error);
        log.warn({ reason, rounds: this.#waiting.length }, "rounds could not be written yet");
        return false;
      }
      if (batch.length > 1) {
        const middle = batch.length >> 1;
        return (await this.#tryBatch(batch.slice(0, middle))) && (await this.#tryBatch(batch.slice(middle)));
      }
      this.#dropped++;
      log.error({ err: error, checkId: batch[0]?.check.id }, "a round cannot be written; it is dropped");
      return true;
    }
  }

  #makeRoom(): void {
    const surplus = this.#waiting.length - KEPT_MAX;
    if (surplus <= 0) return;
    let left = surplus + KEPT_MAX / 10;
    const kept = this.#waiting.filter((one) => one.before?.state !== one.after.state || left-- <= 0);
    this.#dropped += this.#waiting.length - kept.length;
    this.#waiting = kept;
  }
}

/** The data of a row, not the database: trying again would fail for ever. Source: PostgreSQL manual, appendix A. */
function isOurFault(error: unknown): boolean {
  return /^2[23]...$/.test(errorCodeOf(error) ?? "");
}
