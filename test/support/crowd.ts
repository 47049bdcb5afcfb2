import { Client } from "undici";
import { systemClock } from "../../src/foundation/clock.ts";

const THINK_MS = 10;

export type Seen = { readonly status: number; readonly body: string; readonly tookMs: number };

/** Visitors on keep-alive connections. Nothing is asked twice: what failed is in `failures`, one sentence each. */
export type Crowd = {
  readonly seen: Seen[];
  readonly failures: string[];
  /** Resolves once `done` is true of what they have seen since they were asked to look. */
  until(done: (seen: readonly Seen[]) => boolean): Promise<void>;
  stop(): Promise<void>;
};

/** Asks for `path` of a public URL's host until told to stop: every request is a new visitor, without cookies. */
export function crowd(publicUrl: string, { path = "/", visitors = 4 } = {}): Crowd {
  const { host, port } = new URL(publicUrl);
  const seen: Seen[] = [];
  const failures: string[] = [];
  let going = true;
  const visit = async (client: Client) => {
    const startedMs = systemClock.monotonicMs();
    try {
      const answer = await client.request({ method: "GET", path, headers: { host } });
      const body = await answer.body.text();
      const one = { status: answer.statusCode, body, tookMs: systemClock.monotonicMs() - startedMs };
      seen.push(one);
      if (one.status !== 200) failures.push(`status ${one.status}: ${body.slice(0, 200)}`);
    } catch (error) {
      failures.push(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
    }
  };
  const run = async () => {
    const client = new Client(`http://127.0.0.1:${port}`, { pipelining: 1 });
    while (going) {
      await visit(client);
      await systemClock.sleep(THINK_MS);
    }
    await client.close();
  };
  const running = Array.from({ length: visitors }, run);
  return {
    seen,
    failures,
    until: async (done) => {
      const from = seen.length;
      while (!done(seen.slice(from))) await systemClock.sleep(THINK_MS);
    },
    stop: async () => {
      going = false;
      await Promise.all(running);
    },
  };
}
