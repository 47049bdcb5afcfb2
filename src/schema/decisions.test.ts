import { describe, expect, it } from "vitest";
import { createBoundedLog } from "./bounded-log.ts";
import {
  compareHistory,
  contractDue,
  contractWait,
  type Phase,
  requirePending,
  rollbackBarrier,
} from "./index.ts";

const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute));
const file = (name: string, sha1 = name) => ({ name, sha1, sql: "" });
const applied = (name: string, phase: Phase = "expand", sha1 = name) => {
  return { name, phase, sha1, at: at(1), release: "dep_1" };
};

describe("a commit's files against what is applied", () => {
  it("leaves those that are new, in byte order of their names", () => {
    const files = [
      file("0010.sql"),
      file("0002.sql"),
      file("0001.sql"),
      file("0002_B.sql"),
      file("0002_a.sql"),
    ];
    const { pending, problems } = compareHistory([applied("0001.sql")], files, "expand");
    expect(pending.map(({ name }) => name)).toEqual(["0002.sql", "0002_B.sql", "0002_a.sql", "0010.sql"]);
    expect(problems).toEqual([]);
  });

  it("is fine where the commit is older and has fewer, and the phases know nothing of each other", () => {
    const history = [applied("0001.sql"), applied("0002.sql"), applied("0009.sql", "contract")];
    expect(compareHistory(history, [file("0001.sql")], "expand")).toEqual({ pending: [], problems: [] });
    expect(compareHistory(history, [file("0003.sql")], "expand").pending).toHaveLength(1);
  });

  it("names a file that was changed after it was applied, and what to do", () => {
    const comparison = compareHistory([applied("0002_x.sql")], [file("0002_x.sql", "other")], "expand");
    expect(() => requirePending(comparison)).toThrow(
      "0002_x.sql was changed after it was applied on 2026-01-01T00:01:00.000Z by dep_1.",
    );
  });

  it("names a new file that sorts before an applied one", () => {
    const comparison = compareHistory([applied("0005.sql")], [file("0004.sql"), file("0005.sql")], "expand");
    expect(() => requirePending(comparison)).toThrow(/0004\.sql is new, but sorts before 0005\.sql/);
    expect(comparison.problems[0]?.hint).toMatch(/Rename it/);
  });
});

describe("a rollback", () => {
  const contracts = [
    { name: "0001_drop_a.sql", release: "dep_2", at: at(2) },
    { name: "0002_drop_b.sql", release: "dep_5", at: at(5) },
    { name: "0003_drop_c.sql", release: "dep_5", at: at(5) },
  ];

  it("across no contract is free", () => {
    expect(rollbackBarrier([], [])).toBeNull();
    expect(
      rollbackBarrier(
        contracts,
        contracts.map(({ name }) => name),
      ),
    ).toBeNull();
    expect(rollbackBarrier([], ["0009_not_yet.sql"])).toBeNull();
  });

  it("is barred by the newest contract that the release's commit does not carry", () => {
    const barrier = { name: "0003_drop_c.sql", by: "dep_5", at: at(5) };
    expect(rollbackBarrier(contracts, [])).toEqual(barrier);
    expect(rollbackBarrier(contracts, ["0001_drop_a.sql", "0002_drop_b.sql"])).toEqual(barrier);
    expect(rollbackBarrier(contracts, ["0002_drop_b.sql", "0003_drop_c.sql"])).toMatchObject({ by: "dep_2" });
  });
});

describe("a contract", () => {
  const timing = { liveAt: at(10), drainedAt: at(12), rollbackWindowMs: 60 * 60_000 };

  it("is due once the old release has drained and the rollback window is closed", () => {
    expect(contractDue(timing)).toEqual(at(70));
    expect(contractDue({ ...timing, drainedAt: at(80) })).toEqual(at(80));
    expect(contractDue({ ...timing, rollbackWindowMs: 0 })).toEqual(at(12));
  });

  it("is not due while the old release drains, or a person holds it", () => {
    expect(contractDue({ ...timing, drainedAt: null })).toBeNull();
    expect(contractDue({ ...timing, held: true })).toBeNull();
  });

  it("says what it waits for", () => {
    expect(contractWait({ ...timing, now: at(69) })).toEqual({ why: "rollback_window", until: at(70) });
    expect(contractWait({ ...timing, now: at(70) })).toBeNull();
    expect(contractWait({ ...timing, drainedAt: null, now: at(99) })).toEqual({
      why: "draining",
      until: null,
    });
    expect(contractWait({ ...timing, held: true, now: at(99) })).toEqual({ why: "held", until: null });
  });
});

describe("a bounded log", () => {
  it("keeps its beginning and its end within its bytes, and says how many lines it left out", () => {
    const log = createBoundedLog(1_024);
    for (let line = 0; line < 1_000; line++) log.add(`line ${line} é`);
    const lines = log.lines();
    expect(Buffer.byteLength(lines.join("\n"))).toBeLessThanOrEqual(1_024);
    expect([lines[0], lines.at(-1)]).toEqual(["line 0 é", "line 999 é"]);
    const [, left] = /(\d+) lines left out/.exec(lines.join("\n")) ?? [];
    expect(Number(left) + lines.length - 1).toBe(1_000);
    expect(log.count()).toBe(1_000);
  });

  it("cuts a line that would fill it", () => {
    const log = createBoundedLog(1_024);
    log.add("é".repeat(5_000));
    log.add("end");
    expect(Buffer.byteLength(log.lines().join("\n"))).toBeLessThanOrEqual(300);
    expect(log.lines().at(-1)).toBe("end");
  });
});
