import { expect, test } from "vitest";
import { reached, ship, trigger, withStrategy } from "../../test/scenarios/engine-stand.ts";
import { useProjects } from "../../test/scenarios/project-stand.ts";
import { ANALYSIS } from "../../test/scenarios/stories.ts";
import type { Strategy } from "../rollouts/index.ts";

const s = useProjects("r");
const { stand, here, api, view, stateOf, traffic, eventually } = s;

const canary = (steps: Extract<Strategy, { kind: "canary" }>["steps"], analysis = {}): Strategy => ({
  kind: "canary",
  steps,
  analysis: { ...ANALYSIS, minRequests: 0, maxErrorRate: null, ...analysis },
});
const LONG = canary([
  { weight: 10, bakeMs: 600_000 },
  { weight: 50, bakeMs: 600_000 },
]);

/** A canary that has 10 % beside the release before it. */
async function shifting(strategy = LONG): Promise<{ id: string; live: string; own: () => Promise<string> }> {
  const before = await ship(stand(), here());
  s.prepare(withStrategy(strategy));
  const id = await trigger(stand(), here());
  await eventually(() => traffic()).toHaveProperty(before.targetDeploymentId ?? "", 90);
  return {
    id,
    live: before.targetDeploymentId ?? "",
    own: async () => (await view(id)).targetDeploymentId ?? "",
  };
}
const say = (kind: string, id: string, body: Record<string, unknown> = {}) =>
  api().post(`/${kind}/${id}`, body);

test("paused it stays where it is, with who and why; resumed it goes on", async () => {
  const { id, live, own } = await shifting();
  expect((await say("pause", id, { reason: "looking" })).status).toBe(202);
  await eventually(async () => (await view(id)).rollout?.paused).toMatchObject({
    by: "deployer",
    reason: "looking",
  });
  expect(traffic()).toEqual({ [live]: 90, [await own()]: 10 });
  await say("resume", id);
  await eventually(async () => (await view(id)).rollout?.paused).toBeNull();
  expect(await stateOf(id)).toBe("shifting");
  expect(await s.audited("deployment.pause", id)).toEqual([
    { actor_name: "deployer", action: "deployment.pause" },
  ]);
  expect(await s.audited("deployment.resume", id)).toHaveLength(1);
  await say("abort", id);
  await reached(stand(), id, "rolled_back");
});

test("advanced it leaves its stage at once for the next, and no further", async () => {
  const { id, live, own } = await shifting();
  await say("advance", id);
  await eventually(() => traffic()).toHaveProperty(live, 50);
  await eventually(async () => (await view(id)).rollout?.index).toBe(1);
  expect(traffic()).toEqual({ [live]: 50, [await own()]: 50 });
  await say("abort", id);
  await reached(stand(), id, "rolled_back");
});

test("promoted it gets everything and is live", async () => {
  const { id, own } = await shifting();
  await say("promote", id);
  await reached(stand(), id, "live");
  expect(traffic()).toEqual({ [await own()]: 100 });
});

test("aborted all of it goes back, and says who did it", async () => {
  const { id, live } = await shifting();
  await say("abort", id, { reason: "carts are empty" });
  const back = await reached(stand(), id, "rolled_back");
  expect(back.reason).toMatch(/deployer.*carts are empty/);
  expect(traffic()).toEqual({ [live]: 100 });
});

test("a stage of its own waits for a person, and the first may be only for those who ask for it", async () => {
  const { id, live } = await (async () => {
    const before = await ship(stand(), here());
    s.prepare(
      withStrategy(
        canary([
          { weight: 0, bakeMs: 0 },
          { weight: 30, bakeMs: null },
        ]),
      ),
    );
    return { id: await trigger(stand(), here()), live: before.targetDeploymentId ?? "" };
  })();
  await eventually(() => traffic()).toHaveProperty(live, 70);
  const own = (await view(id)).targetDeploymentId;
  expect(stand().target.effects.filter((effect) => effect.startsWith(`shift ${own}`))).toEqual([
    `shift ${own} 0`,
    `shift ${own} 30`,
  ]);
  await eventually(async () => (await s.row(id)).facts.pausedAtMs).toEqual(expect.any(Number));
  await say("advance", id);
  await reached(stand(), id, "live");
});

test("a canary with too few requests pauses and waits for a person, where it used to pass", async () => {
  const few = canary([{ weight: 10, bakeMs: 300 }], { intervalMs: 100, minRequests: 50, maxErrorRate: 0.02 });
  const { id } = await shifting(few);
  await eventually(async () => (await view(id)).rollout?.paused).toMatchObject({
    by: "analysis",
    reason: expect.stringMatching(/request/),
  });
  expect(await stateOf(id)).toBe("shifting");
  await say("promote", id);
  await reached(stand(), id, "live");
});

test("a viewer is refused, and leaves nothing behind", async () => {
  const { id } = await shifting();
  const kinds = ["pause", "resume", "advance", "promote", "abort"];
  for (const kind of kinds) {
    const answer = await s.viewer().post(`/${kind}/${id}`, {});
    expect([answer.status, answer.body.error.code]).toEqual([403, "forbidden"]);
    expect(await s.audited(`deployment.${kind}`, id)).toEqual([]);
  }
  expect(await s.ledger().signals(id, 0)).toEqual([]);
  await say("abort", id);
  await reached(stand(), id, "rolled_back");
});

test("where no traffic moves there is nothing to tell: a conflict with what to do instead", async () => {
  const live = await ship(stand(), here());
  const answer = await say("pause", live.id);
  expect([answer.status, answer.body.error.hint]).toEqual([409, expect.stringContaining("/rollback")]);
  expect(await s.audited("deployment.pause", live.id)).toEqual([]);
  expect((await say("abort", "dep_none")).status).toBe(404);
  expect((await say("abort", live.id, { why: "typo" })).status).toBe(400);
});
