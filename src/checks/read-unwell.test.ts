import { afterAll, beforeAll, expect, test } from "vitest";
import { type CheckStand, checkStand } from "../../test/support/check-stand.ts";
import { completePolicy } from "./policy.ts";
import { readUnwell } from "./read-unwell.ts";

let stand: CheckStand;
let began: Date;
beforeAll(async () => {
  stand = await checkStand();
  began = stand.clock.now();
  await stand.makeProject("shop");
});
afterAll(() => stand[Symbol.asyncDispose]());

type Given = {
  name: string;
  type?: string;
  environment?: string;
  state?: string;
  critical?: boolean;
  suppressedBy?: string;
  wasUp?: boolean;
  judgeAt?: number | null;
  retired?: boolean;
};

const before = (ms: number) => new Date(began.getTime() - ms);

async function down(given: Given): Promise<void> {
  const { name, type = "http", environment = "production", state = "down", critical = true } = given;
  const { suppressedBy = null, wasUp = true, judgeAt = null, retired = false } = given;
  const id = `chk_${name}`;
  const policy = JSON.stringify(completePolicy({ critical }));
  await stand.rows(
    `insert into checks (id, project_id, environment, name, type, source, subject, settings, policy, shard,
       created_at, updated_at, retired_at)
     values ($1, 'prj_shop', $2, $3, $4, 'api', 'x', '', $5, 0, $6, $6, $7)`,
    [id, environment, name, type, policy, before(60_000), retired ? before(1) : null],
  );
  const displayed = { failure: { class: "refused", message: "nobody listens" }, suppressedBy };
  const judge = judgeAt === null ? null : before(-judgeAt);
  await stand.rows("insert into check_states values ($1, $2, $3, $4, $5)", [
    ...[id, state, before(5_000), JSON.stringify(displayed), judge],
  ]);
  const first = wasUp ? "up" : "unknown";
  await stand.rows("insert into check_spans values ($1, $2, $3, $4, null)", [
    ...[id, before(60_000), before(5_000), first],
  ]);
}

const place = { projectId: "prj_shop", environment: "production" };
const unwell = async () => (await readUnwell(stand.deps, place)).map(({ name, of }) => `${name} ${of}`);

test("critical checks that are down are unwell: stores are what releases need, all others may be theirs", async () => {
  await down({ name: "web" });
  await down({ name: "database", type: "postgres" });
  const [found] = await readUnwell(stand.deps, place);
  expect(found).toEqual({
    name: "database",
    of: "dependency",
    since: expect.any(Date),
    message: "nobody listens",
  });
  await down({ name: "other-place", environment: "staging" });
  await down({ name: "not-critical", critical: false });
  await down({ name: "slow", state: "degraded" });
  await down({ name: "child", suppressedBy: "database" });
  await down({ name: "never-up", wasUp: false });
  await down({ name: "nobody-judges", judgeAt: -20_000 });
  await down({ name: "judged", judgeAt: 20_000 });
  await down({ name: "gone", retired: true });
  await down({ name: "vendor", type: "statuspage" });
  await down({ name: "browsers", type: "browserbase" });
  expect(await unwell()).toEqual(["database dependency", "judged service", "web service"]);
});

test("what is in a window of maintenance is not, for as long as the window is", async () => {
  const window = (id: string, checks: string | null, from: number, to: number) =>
    stand.rows(
      "insert into maintenance_windows values ($1, $2, 'production', $3, $4, $5, 'x', 'ann', $4, null)",
      [...[id, "prj_shop", checks, before(-from), before(-to)]],
    );
  await window("mnt_0", null, -20_000, -10_000);
  await window("mnt_1", '["web"]', -1_000, 60_000);
  expect(await unwell()).toEqual(["database dependency", "judged service"]);
  await window("mnt_2", null, -1_000, 60_000);
  expect(await unwell()).toEqual([]);
});
