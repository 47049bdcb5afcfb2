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
  /** Which departure a stream waits out. A release that came back meanwhile and left again departs anew. */
  const leaving = new Map<LongStream, symbol>();
  return {
    add: (stream) => open.add(stream),
    delete(stream) {
      open.delete(stream);
      leaving.delete(stream);
    },
    drainMoved(timeoutMs) {
      const departure = Symbol("departure");
      let moved = false;
      for (const stream of open) {
        if (deps.isTarget(stream.host, stream.release)) leaving.delete(stream);
        else if (!leaving.has(stream)) {
          leaving.set(stream, departure);
          moved = true;
        }
      }
      if (!moved) return;
      void deps.clock.sleep(timeoutMs).then(() => {
        for (const [stream, since] of [...leaving]) if (since === departure) stream.end();
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
