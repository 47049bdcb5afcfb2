import type { Clock } from "../foundation/clock.ts";

/** A WebSocket or an event stream: open until somebody ends it, so a drain needs a deadline for it. */
export type LongStream = {
  readonly host: string;
  readonly release: string;
  /** Its request named the release. */
  readonly named: boolean;
  /** Ends it in the way its client reconnects after. */
  end(): void;
};

export type Streams = {
  add(stream: LongStream): void;
  delete(stream: LongStream): void;
  /**
   * Gives the streams whose release has left their host's targets `timeoutMs` to end by themselves; longer where the
   * host keeps visitors at the release for longer.
   */
  drainMoved(timeoutMs: number): void;
  endAll(): void;
  readonly size: number;
};

export function createStreams(deps: {
  clock: Pick<Clock, "sleep">;
  /** How long the host keeps sending somebody to the release; 0: it has stopped, Infinity: it goes on. */
  keepsForMs: (host: string, release: string, named: boolean) => number;
}): Streams {
  const open = new Set<LongStream>();
  /**
   * Which departure a stream waits out, and whether the host kept it then. A release that came back meanwhile and
   * left again departs anew, and so does one that is kept no longer: it was rolled back.
   */
  const leaving = new Map<LongStream, { readonly departure: symbol; readonly kept: boolean }>();

  const depart = (streams: readonly LongStream[], waitMs: number, kept: boolean) => {
    const departure = Symbol("departure");
    for (const stream of streams) leaving.set(stream, { departure, kept });
    void deps.clock.sleep(waitMs).then(() => {
      for (const [stream, since] of [...leaving]) if (since.departure === departure) stream.end();
    });
  };

  return {
    add: (stream) => open.add(stream),
    delete(stream) {
      open.delete(stream);
      leaving.delete(stream);
    },
    drainMoved(timeoutMs) {
      const moved = new Map<number, { streams: LongStream[]; kept: boolean }>();
      for (const stream of open) {
        const keptMs = deps.keepsForMs(stream.host, stream.release, stream.named);
        const known = leaving.get(stream);
        if (keptMs === Infinity) leaving.delete(stream);
        else if (known === undefined || (known.kept && keptMs === 0)) {
          const waitMs = Math.max(timeoutMs, keptMs);
          const group = moved.get(waitMs) ?? { streams: [], kept: keptMs > 0 };
          group.streams.push(stream);
          moved.set(waitMs, group);
        }
      }
      for (const [waitMs, { streams, kept }] of moved) depart(streams, waitMs, kept);
    },
    endAll() {
      for (const stream of [...open]) stream.end();
    },
    get size() {
      return open.size;
    },
  };
}
