import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_POLICY, type Policy, type State } from "../../src/checks/model.ts";
import { createRandom, type Random } from "../../test/scenarios/random.ts";
import { makeCertificates } from "../../test/support/certificates.ts";
import type { Fault, Trouble } from "./accuracy-faults.ts";
import { type Asked, type Running, withProber } from "./accuracy-prober.ts";
import { accuracyOf, type Score, score, shown } from "./accuracy-score.ts";
import type { Mode, Order } from "./accuracy-target.ts";

const KINDS = [
  "refuse",
  "hang",
  "slow",
  "status 500",
  "wrong body",
  "expired certificate",
  "flapping",
] as const satisfies readonly Fault[];
/** Each target is asked by so many checks, each in its own phase. */
const CHECKS_EACH = 16;
const POLICY: Policy = {
  ...DEFAULT_POLICY,
  intervalMs: 500,
  timeoutMs: 500,
  flapChanges: 0,
};
const SETTLE_MS = 3_000;

export type Live = {
  readonly scores: readonly Score[];
  readonly byFault: Readonly<Record<string, unknown>>;
  readonly withinBound: boolean;
  /** Of all checks together, as `Score.accuracy`. */
  readonly accuracy: number;
  readonly missedTicks: number;
  readonly latenessP99Ms: number;
};

/** Real targets that break by a script, in a process of their own, asked by the prober's own loop. */
export async function runLive(seconds: number, seed: number): Promise<Live> {
  const targets = fork(join(import.meta.dirname, "accuracy-target.ts"), {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  try {
    const made = await makeCertificates();
    const certificates = KINDS.map((kind) => (kind === "expired certificate" ? made : null));
    targets.send({ certificates });
    const [{ ports }] = (await once(targets, "message")) as [{ ports: number[] }];
    return await withProber(checksOf(ports, made.ca), (running) => follow(running, targets, seconds, seed));
  } finally {
    if (targets.connected) targets.disconnect();
  }
}

function checksOf(ports: readonly number[], ca: string): Asked[] {
  return KINDS.flatMap((kind, target) =>
    Array.from({ length: CHECKS_EACH }, (_, at): Asked => {
      const isTls = kind === "expired certificate";
      const url = `${isTls ? "https://localhost" : "http://127.0.0.1"}:${ports[target]}/`;
      const settings = { url, expect: { json: '$.status == "pass"' }, ...(isTls ? { ca } : {}) };
      return { name: `${kind} ${at}`, settings, policy: policyOf(kind) };
    }),
  );
}

/**
 * Only flapping is to be taken as flapping: in five minutes there are more outages than in a month. And only what is
 * made slow as slow: on a busy machine the others may really be.
 */
function policyOf(kind: Fault): Policy {
  if (kind === "slow") return { ...POLICY, degradedMs: 100 };
  return kind === "flapping" ? { ...POLICY, flapChanges: 4 } : POLICY;
}

async function follow(
  { pool, prober }: Running,
  targets: ChildProcess,
  seconds: number,
  seed: number,
): Promise<Live> {
  await sleep(SETTLE_MS);
  const from = Date.now();
  const to = from + seconds * 1_000;
  const told = tellWith(targets);
  const troubles = await Promise.all(
    KINDS.map((kind, target) =>
      playTarget(kind, target, told, to - SETTLE_MS, createRandom(seed * 100 + target)),
    ),
  );
  await sleep(Math.max(0, to - Date.now()) + SETTLE_MS);
  const { rows } = await pool.query<{ n: number }>(
    "select count(*)::int as n from check_samples where untrusted = 'missed'",
  );
  const window = { from, to: Date.now() };
  const scores: Score[] = [];
  for (const [at, kind] of KINDS.entries()) {
    for (let of = 0; of < CHECKS_EACH; of++) {
      const script = { fault: kind, policy: policyOf(kind), troubles: troubles[at] ?? [] };
      scores.push(
        score(script, await readPlayed(pool, `chk_${kind}-${of}`.replaceAll(" ", "-"), from), window),
      );
    }
  }
  const bound = POLICY.intervalMs + POLICY.timeoutMs + 50;
  return {
    scores,
    byFault: Object.fromEntries(
      KINDS.map((kind) => [kind, shown(scores.filter(({ fault }) => fault === kind))]),
    ),
    withinBound: scores.every(
      ({ fault, delaysMs }) => Math.max(0, ...delaysMs) <= bound + (fault === "slow" ? POLICY.intervalMs : 0),
    ),
    accuracy: accuracyOf(scores),
    missedTicks: rows[0]?.n ?? 0,
    latenessP99Ms: prober.report().latenessP99Ms,
  };
}

type Tell = (order: Order) => Promise<number>;

/** Answers from when on it is so. */
function tellWith(targets: ChildProcess): Tell {
  const waiting = new Map<number, (at: number) => void>();
  targets.on("message", (answer: { target?: number; at?: number }) => {
    if (answer.target !== undefined && answer.at !== undefined) waiting.get(answer.target)?.(answer.at);
  });
  return (order) =>
    new Promise((resolve) => {
      waiting.set(order.target, resolve);
      targets.send(order);
    });
}

async function playTarget(
  kind: Fault,
  target: number,
  tell: Tell,
  end: number,
  random: Random,
): Promise<Trouble[]> {
  const isFlapping = kind === "flapping";
  const mode = (isFlapping ? "refuse" : kind) as Mode;
  const truth = kind === "slow" ? "degraded" : "down";
  const [down, well] = isFlapping ? [2_500, 2_500] : [10_000, 5_000];
  const troubles: Trouble[] = [];
  for (;;) {
    await sleep(well + random.below(well));
    const length = down + random.below(down);
    if (Date.now() + length > end) return troubles;
    const from = await tell({ target, mode });
    await sleep(length);
    const to = await tell({ target, mode: "well" });
    troubles.push({ from, to, seenBy: null, truth });
  }
}

async function readPlayed(pool: Running["pool"], id: string, from: number) {
  const spans = await pool.query<{ from_at: Date; to_at: Date | null; state: State }>(
    `select from_at, to_at, state from check_spans
     where check_id = $1 and (to_at is null or to_at > $2) order by from_at`,
    [id, new Date(from)],
  );
  const events = await pool.query<{ at: Date; written_at: Date; from_state: State; to_state: State }>(
    "select at, written_at, from_state, to_state from check_events where check_id = $1 and at >= $2 order by id",
    [id, new Date(from)],
  );
  return {
    spans: spans.rows.map((row) => ({
      from: Math.max(from, row.from_at.getTime()),
      to: row.to_at?.getTime() ?? null,
      state: row.state,
    })),
    transitions: events.rows.map((row) => ({
      from: row.from_state,
      to: row.to_state,
      at: row.at.getTime(),
      writtenAt: row.written_at.getTime(),
      failure: null,
      suppressedBy: null,
    })),
    rounds: 0,
  };
}
