export type Echoes = {
  readonly sent: number;
  readonly received: number;
  /** The mean of the round trips. Null: there was none. */
  readonly rttMs: number | null;
  /** Some router said that there is no way. */
  readonly unreachable: boolean;
};

/**
 * What `ping` printed, of iputils, BusyBox or BSD. Its lines are counted rather than its summary read: it has none
 * where it was ended for want of time.
 */
export function readPing(stdout: string, packets: number): Echoes {
  const answers = [...stdout.matchAll(/^\d+ bytes from .*$/gm)].map(([line]) => line);
  // One that came twice is one.
  const received = new Set(answers.map((line) => /seq=(\d+)/.exec(line)?.[1] ?? line)).size;
  const trips = answers.flatMap((line) => /time[=<]([\d.]+) ?ms/.exec(line)?.[1] ?? []).map(Number);
  const sum = trips.reduce((total, trip) => total + trip, 0);
  return {
    sent: packets,
    received: Math.min(received, packets),
    rttMs: trips.length === 0 ? null : Math.round((sum / trips.length) * 1_000) / 1_000,
    unreachable: /Destination (Host|Net|Port)|unreachable/i.test(stdout),
  };
}
