/**
 * How fast rounds may begin: twice as fast as their intervals ask for, in total. After a stall, or with the checks of a
 * prober that died, what is overdue goes out beside what is due, and not all at once.
 */
export class StartRate {
  #perMs = 0;
  #tokens = 0;
  #at: number | null = null;

  /** A check came (`sign` 1) or went (-1). */
  count(intervalMs: number, sign: 1 | -1): void {
    this.#perMs = Math.max(0, this.#perMs + sign / intervalMs);
  }

  /** True: one may begin now. */
  take(now: number): boolean {
    this.#fill(now);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** When one may begin. */
  next(now: number): number {
    this.#fill(now);
    return this.#tokens >= 1 ? now : now + Math.max(1, (1 - this.#tokens) / (2 * this.#perMs));
  }

  #fill(now: number): void {
    // A tenth of a second's worth in reserve: what is spread by a hash comes in small clusters.
    const most = Math.max(20, this.#perMs * 100);
    const elapsed = this.#at === null ? Number.POSITIVE_INFINITY : Math.max(0, now - this.#at);
    this.#tokens = Math.min(most, this.#tokens + (elapsed === 0 ? 0 : elapsed * 2 * this.#perMs || 0));
    if (this.#at === null) this.#tokens = most;
    this.#at = now;
  }
}
