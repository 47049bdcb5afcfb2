import type { Clock } from "../foundation/clock.ts";

/** A WebSocket or an event stream: open until somebody ends it, so a drain needs a deadline for it. */
export type LongStream = {
  readonly host: string;
  readonly release: string;
  /** Ends it in the way its client reconnects after. */
  end(): void;
};

export type Streams = {
  add(stream: LongStream): void;
  delete(stream: LongStream): void;
  /** Gives the streams whose release has left their host's targets `timeoutMs` to end by themselves. */
  drainMoved(timeoutMs: number): void;
  endAll(): void;
  readonly size: number;
};

export function createStreams(deps: {
  clock: Pick<Clock, "sleep">;
  isTarget: (host: string, release: string) => boolean;
}): Streams {
  const open = new Set<LongStream>();
  const leaving = new Set<LongStream>();
  return {
    add: (stream) => open.add(stream),
    delete(stream) {
      open.delete(stream);
      leaving.delete(stream);
    },
    drainMoved(timeoutMs) {
      const moved = [...open].filter(
        (stream) => !leaving.has(stream) && !deps.isTarget(stream.host, stream.release),
      );
      if (moved.length === 0) return;
      for (const stream of moved) leaving.add(stream);
      void deps.clock.sleep(timeoutMs).then(() => {
        for (const stream of moved) {
          // A rollback in the meantime may have brought its release back.
          const stays = deps.isTarget(stream.host, stream.release);
          if (leaving.delete(stream) && open.has(stream) && !stays) stream.end();
        }
      });
    },
    endAll() {
      for (const stream of [...open]) stream.end();
    },
    get size() {
      return open.size;
    },
  };
}
