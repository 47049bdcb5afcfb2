import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/foundation/clock.ts";
import type { MigrationFile, MigrationInput, Migrator, Phase } from "../../src/schema/index.ts";
import { type CutProxy, startCutProxy } from "../support/cut-proxy.ts";

/** An app's database of its own, empty. */
export type AppDatabase = {
  readonly url: string;
  /** What the URL says besides, which may be shown nowhere. */
  readonly password: string;
  query(sql: string): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
};

export type MigratorUnderTest = {
  readonly migrator: Migrator;
  newDatabase(): Promise<AppDatabase>;
  /** A statement that runs for longer than any test. */
  readonly endless: string;
  /** How many connections run it on the server. */
  endlessRunning(database: AppDatabase): Promise<number>;
};

type Overrides = Partial<MigrationInput> & { readonly signal?: AbortSignal };

let under: MigratorUnderTest;
let database: AppDatabase;

/** What every implementation of the port `Migrator` must hold, over a real database. One to a test file. */
export function migratorContract(name: string, start: () => Promise<MigratorUnderTest>): void {
  describe(`the migrator "${name}"`, () => {
    beforeAll(async () => {
      under = await start();
    });
    describe("applies files", applying);
    describe("refuses", refusing);
    describe("is stopped and crashes", stopping);
  });
}

export const file = (name: string, sql: string): MigrationFile => ({
  name,
  sql,
  sha1: createHash("sha1").update(sql).digest("hex"),
});

/** Runs and keeps what was said. */
export async function runFiles(
  { migrator, url }: { migrator: Migrator; url: string },
  files: readonly MigrationFile[],
  { signal = new AbortController().signal, ...overrides }: Overrides = {},
) {
  const lines: string[] = [];
  const applied: string[] = [];
  const run = migrator.run(
    {
      databaseUrl: url,
      phase: "expand",
      files,
      timeoutMs: 30_000,
      lockTimeoutMs: 1_000,
      projectId,
      project: "shop",
      environment: "production",
      release: "dep_1",
      onLine: (line) => lines.push(line),
      onApplied: (one) => applied.push(one),
      ...overrides,
    },
    signal,
  );
  const settled = await run.then(
    (result) => ({ result, error: null }),
    (error) => ({ result: null, error }),
  );
  return { ...settled, lines, applied, text: lines.join("\n") };
}

/** Waits until a condition of another process holds. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = systemClock.monotonicMs() + 20_000;
  while (!(await holds())) {
    if (systemClock.monotonicMs() > deadline) throw new Error(`Waited in vain until ${what}.`);
    await systemClock.sleep(20);
  }
}

const run = (files: readonly MigrationFile[], overrides: Overrides = {}) =>
  runFiles({ migrator: under.migrator, url: database.url }, files, overrides);

const projectId = "prj_shop";
const CONTRACT = file("0009_x.sql", "");
const BASE = [
  file("0001_marks.sql", "create table marks (mark varchar(40))"),
  file("0002_a.sql", "insert into marks values ('a');\ninsert into marks values ('b');"),
];

async function marks(): Promise<unknown[]> {
  return (await database.query("select mark from marks order by mark")).map(({ mark }) => mark);
}

function ownDatabase(): void {
  beforeAll(async () => {
    database = await under.newDatabase();
  });
  afterAll(() => database.close());
}

function applying(): void {
  ownDatabase();

  it("in byte order of their names, each once", async () => {
    const first = await run(BASE.toReversed());
    expect(first.result).toEqual({
      applied: ["0001_marks.sql", "0002_a.sql"],
      version: { expand: "0002_a.sql", contract: null },
    });
    expect(first.applied).toEqual(["0001_marks.sql", "0002_a.sql"]);
    const more = [...BASE, file("0003_c.sql", "insert into marks values ('c')")];
    expect((await run(more)).result?.applied).toEqual(["0001_marks.sql", "0002_a.sql", "0003_c.sql"]);
    expect((await run(more, { release: "dep_2" })).result).toEqual({
      applied: [],
      version: { expand: "0003_c.sql", contract: null },
    });
    expect(await marks()).toEqual(["a", "b", "c"]);
  });

  it("of the contract phase beside those of expand, with the same name as well", async () => {
    const contract = [file("0002_a.sql", "delete from marks where mark = 'c'")];
    const { result } = await run(contract, { phase: "contract", release: "dep_3" });
    expect(result).toEqual({
      applied: ["0002_a.sql"],
      version: { expand: "0003_c.sql", contract: "0002_a.sql" },
    });
    expect(await marks()).toEqual(["a", "b"]);
  });

  it("of an older commit by doing nothing", async () => {
    expect((await run(BASE.slice(0, 1))).error).toBeNull();
  });

  it("one run at a time; who waits says for whom", async () => {
    const slow = [...BASE, file("0004_slow.sql", `insert into marks values ('slow');`)];
    const runs = await Promise.all(["dep_4", "dep_5", "dep_6"].map((release) => run(slow, { release })));
    expect(runs.map(({ error }) => error)).toEqual([null, null, null]);
    expect(runs.flatMap(({ applied }) => applied)).toEqual(["0004_slow.sql"]);
    expect((await marks()).filter((mark) => mark === "slow")).toHaveLength(1);
  });

  it("and says what is applied and what would be, without changing anything", async () => {
    const fresh = await under.newDatabase();
    const ask = (url: string, expand: readonly MigrationFile[]) =>
      under.migrator.status(
        { projectId, databaseUrl: url, files: { expand, contract: [CONTRACT] }, timeoutMs: 30_000 },
        new AbortController().signal,
      );
    const empty = await ask(fresh.url, BASE);
    expect(empty.applied).toEqual([]);
    expect(empty.pending.map(({ name, phase }) => `${phase} ${name}`)).toEqual([
      "expand 0001_marks.sql",
      "expand 0002_a.sql",
      "contract 0009_x.sql",
    ]);
    expect((await ask(fresh.url, BASE)).applied).toEqual([]);
    await fresh.close();
    const full = await ask(database.url, [file("0001_marks.sql", "changed")]);
    expect(full.applied.map(({ name, phase, release }) => [name, phase, release])).toContainEqual([
      "0002_a.sql",
      "contract",
      "dep_3",
    ]);
    expect(full.problems).toEqual([
      expect.stringMatching(/^0001_marks\.sql was changed after it was applied on 20/),
    ]);
  });
}

function refusing(): void {
  ownDatabase();

  it("a file that was changed after it was applied, or sorts before it, by name, and runs nothing", async () => {
    await run(BASE);
    const changed = [
      BASE[0],
      file("0002_a.sql", "select 1"),
      file("0003.sql", "drop table marks"),
    ] as MigrationFile[];
    expect((await run(changed)).error).toMatchObject({
      code: "unprocessable",
      message: expect.stringMatching(/^0002_a\.sql was changed after it was applied on 20.* by dep_1\.$/),
    });
    const misplaced = [...BASE, file("0001_late.sql", "drop table marks")];
    expect((await run(misplaced)).error).toMatchObject({
      code: "unprocessable",
      message: expect.stringMatching(/^0001_late\.sql is new, but sorts before 0002_a\.sql/),
    });
    expect(await marks()).toEqual(["a", "b"]);
  });

  it("a bad statement, by file and line; nothing of the file stays, and what came before does", async () => {
    const bad = "-- é 😀\ninsert into marks values ('x');\n\ninsert into\n  nowhere values (1);";
    const files = [
      ...BASE,
      file("0003_good.sql", "insert into marks values ('good')"),
      file("0004_bad.sql", bad),
    ];
    const { error, applied } = await run(files);
    expect(error).toMatchObject({
      code: "unprocessable",
      message: expect.stringMatching(/^0004_bad\.sql, line [45]: /),
    });
    expect(applied).toEqual(["0003_good.sql"]);
    expect(await marks()).toEqual(["a", "b", "good"]);
    const mended = [...files.slice(0, 3), file("0004_bad.sql", "insert into marks values ('mended')")];
    expect((await run(mended)).error).toBeNull();
    expect(await marks()).toEqual(["a", "b", "good", "mended"]);
  });

  it("an address that it may not reach, or that is none", async () => {
    for (const url of ["mysql://a:b@127.0.0.1/x", "nonsense", ""]) {
      expect((await run([], { databaseUrl: url })).error).toMatchObject({ code: "bad_request" });
    }
  });

  it("without showing a secret", async () => {
    const { password, url } = database;
    const saying = `do $$ begin raise notice 'it is ${password}, ${encodeURIComponent(password)}'; end $$`;
    const all = [
      await run([...BASE, file("0010.sql", saying)], { phase: "contract" }),
      await run([file("0011.sql", `select "${password}"`)], { phase: "contract" }),
      await run([], { databaseUrl: url.replace(encodeURIComponent(password), "wrong%20one") }),
    ];
    const shown = all.map(
      ({ text, error }) => `${text} ${JSON.stringify(error)} ${error?.message} ${error?.hint}`,
    );
    for (const text of shown) {
      for (const secret of [password, encodeURIComponent(password), "wrong one", "wrong%20one", url]) {
        expect(text).not.toContain(secret);
      }
    }
    expect(shown[1]).toContain("[hidden]");
    expect(all[2]?.error).toMatchObject({ code: "unprocessable" });
  });
}

function stopping(): void {
  ownDatabase();

  it("when its time is over, and the statement does not go on at the server", async () => {
    await run(BASE);
    const files = [...BASE, file("0003_long.sql", `insert into marks values ('x');\n${under.endless}`)];
    const { error } = await run(files, { timeoutMs: 2_000 });
    expect(error).toMatchObject({
      code: "unprocessable",
      message: "The migrations did not finish within 2 s in 0003_long.sql, line 2.",
    });
    expect(await under.endlessRunning(database)).toBe(0);
    expect(await marks()).toEqual(["a", "b"]);
  });

  it("when it is canceled, without a transaction as well", async () => {
    for (const directive of ["", "--! no-transaction\n"]) {
      const controller = new AbortController();
      const files = [...BASE, file("0003_long.sql", `${directive}${under.endless}`)];
      const running = run(files, { signal: controller.signal });
      await until("it runs", async () => (await under.endlessRunning(database)) === 1);
      controller.abort();
      expect((await running).error).toMatchObject({ code: "canceled" });
      expect(await under.endlessRunning(database)).toBe(0);
    }
  });

  it("while another one runs: it waits, says for whom, and gives up in time", async () => {
    const controller = new AbortController();
    const files = [...BASE, file("0003_long.sql", under.endless)];
    const first = run(files, { release: "dep_first", signal: controller.signal });
    await until("it runs", async () => (await under.endlessRunning(database)) === 1);
    const second = await run(files, { release: "dep_second", timeoutMs: 2_000 });
    expect(second.error).toMatchObject({ code: "timeout", message: expect.stringContaining("dep_first") });
    expect(second.text).toMatch(/^Waiting: another migration .*dep_first/);
    const third = run([...BASE, file("0003_short.sql", "insert into marks values ('third')")], {
      timeoutMs: 30_000,
    });
    controller.abort();
    await first;
    expect((await third).applied).toEqual(["0003_short.sql"]);
  });

  it("at any message to the server, and the next run leaves each file applied once", {
    timeout: 300_000,
  }, async () => {
    const target = new URL(database.url);
    const proxy = await startCutProxy({ host: target.hostname, port: Number(target.port) });
    let cuts = 0;
    for (const when of ["before", "after"] as const) {
      for (let message = 1; ; message++) {
        proxy.cutAt(message, when);
        if (!(await crashAndRepeat(proxy))) break;
        cuts++;
      }
    }
    await proxy.close();
    // Two files have some 20 messages; fewer would mean that the proxy cut nothing.
    expect(cuts).toBeGreaterThan(40);
  });
}

const CRASHING = [
  file("1.sql", "create table once (n int); insert into once values (1); insert into once values (2)"),
  file(
    "2.sql",
    "--! no-transaction\ncreate table if not exists again (n int);\ndelete from again; insert into again values (1)",
  ),
  file("3.sql", "insert into once values (3)"),
];

/** One run that is cut off and one that is not. False when the first one came through. */
async function crashAndRepeat(proxy: CutProxy): Promise<boolean> {
  await database.query("drop schema if exists signalbox cascade");
  await database.query("drop table if exists once, again");
  const url = new URL(database.url);
  url.port = String(proxy.port);
  url.searchParams.set("sslmode", "disable");
  const cut = await run(CRASHING, { databaseUrl: url.href });
  if (!proxy.wasCut()) {
    expect(cut.error).toBeNull();
    return false;
  }
  const phase: Phase = "expand";
  const repeated = await run(CRASHING, { phase });
  expect(repeated.error).toBeNull();
  expect(repeated.result?.applied).toEqual(["1.sql", "2.sql", "3.sql"]);
  // What the first one left applied, it had said, or said that it does not know.
  const before = CRASHING.map(({ name }) => name).filter((name) => !repeated.applied.includes(name));
  // Cut off in its goodbye, it had done all of it.
  if (before.length < CRASHING.length) expect(cut.error).toMatchObject({ code: "unavailable" });
  const claimed = [...cut.applied, cut.error?.details?.uncertain];
  expect(claimed).toEqual(expect.arrayContaining(before));
  expect(before).toEqual(expect.arrayContaining(cut.applied));
  expect(await database.query("select n from once order by n")).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  expect(await database.query("select n from again")).toEqual([{ n: 1 }]);
  return true;
}
