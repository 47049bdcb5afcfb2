import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";
import { machineMs } from "./machine-clock.ts";

/** One answer; times are `machineMs`. Status 0: there was none. */
export type CrowdAnswer = {
  readonly sentAt: number;
  readonly at: number;
  readonly status: number;
  /** By the gateway's header; null without an answer. */
  readonly release: string | null;
};

/**
 * Distinct visitors, each with a cookie of their own, asking one after the other at a steady rate: what they meet is
 * as independent as the strangers of a real site. A late answer delays nobody.
 */
export type Crowd = {
  readonly answers: CrowdAnswer[];
  stop(): Promise<void>;
};

export function startCrowd(at: { port: number; host: string; visitors: number; perSecond: number }): Crowd {
  const pool = new Pool(`http://127.0.0.1:${at.port}`, { connections: 64, headersTimeout: 10_000 });
  const cookies = new Array<string | null>(at.visitors).fill(null);
  const answers: CrowdAnswer[] = [];
  const pending = new Set<Promise<void>>();
  const leaving = new AbortController();
  const ask = async (visitor: number) => {
    const cookie = cookies[visitor];
    const sentAt = machineMs();
    try {
      const headers = { host: at.host, ...(cookie ? { cookie } : {}) };
      const answer = await pool.request({ method: "GET", path: "/", headers });
      await answer.body.dump();
      const set = [answer.headers["set-cookie"] ?? []].flat()[0];
      if (set) cookies[visitor] = set.split(";")[0] ?? null;
      const release = String(answer.headers["x-signalbox-deployment"] ?? "");
      answers.push({ sentAt, at: machineMs(), status: answer.statusCode, release });
    } catch {
      answers.push({ sentAt, at: machineMs(), status: 0, release: null });
    }
  };
  const run = async () => {
    const startedAt = machineMs();
    for (let sent = 0; !leaving.signal.aborted; ) {
      // As many as are due: a timer that came late is made up for.
      for (const due = ((machineMs() - startedAt) * at.perSecond) / 1_000; sent < due; sent++) {
        const asked = ask(sent % at.visitors).finally(() => pending.delete(asked));
        pending.add(asked);
      }
      await sleep(2);
    }
  };
  const running = run();
  return {
    answers,
    stop: async () => {
      leaving.abort();
      await running;
      await Promise.all(pending);
      await pool.close();
    },
  };
}
