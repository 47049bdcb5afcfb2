/** Work that is done at most once at a time for each key. */
export type Runs = {
  /** Begins it now; where it is under way it is done again afterwards, for what woke it may have come too late. */
  wake(key: string): void;
  has(key: string): boolean;
  /** Resolves when the work under way for this key has ended; at once where there is none. */
  ended(key: string): Promise<void>;
  /** The same for every key. */
  allEnded(): Promise<void>;
};

/** @param work must not reject. After `signal` is aborted nothing begins. */
export function createRuns(work: (key: string) => Promise<void>, signal: AbortSignal): Runs {
  const running = new Map<string, { again: boolean; done: Promise<void> }>();

  function wake(key: string): void {
    const run = running.get(key);
    if (run) {
      run.again = true;
      return;
    }
    if (signal.aborted) return;
    const started = { again: false, done: Promise.resolve() };
    running.set(key, started);
    started.done = work(key).finally(() => {
      running.delete(key);
      if (started.again) wake(key);
    });
  }

  return {
    wake,
    has: (key) => running.has(key),
    ended: async (key) => running.get(key)?.done,
    async allEnded() {
      await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}
