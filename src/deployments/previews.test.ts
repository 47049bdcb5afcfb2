import { expect, test } from "vitest";
import { PLAN, reached, ship, trigger, withStrategy } from "../../test/scenarios/engine-stand.ts";
import { useProjects } from "../../test/scenarios/project-stand.ts";
import { ANALYSIS } from "../../test/scenarios/stories.ts";
import { closePlace } from "./index.ts";
import { slotOf } from "./record.ts";

const s = useProjects("v");
const { stand, here, api, stateOf, eventually } = s;

const preview = (pullRequest: number, more: Record<string, unknown> = {}) =>
  here({ environment: "preview", pullRequest, branch: "fix", ...more });
const close = (slot: string, actor = stand().as.deployer) =>
  closePlace(stand().engine.deps, actor, {
    projectId: s.projectId(),
    slot,
    reason: "The pull request was closed.",
  });
const placeAt = (pullRequest: number) =>
  stand().target.trafficAt({ project: s.name(), environment: "preview", branch: "fix", pullRequest });

test("a pull request has one place, whatever its branch is called, and shares none", async () => {
  const first = await ship(stand(), preview(7));
  const renamed = await ship(stand(), preview(7, { branch: "fix-2" }));
  const other = await ship(stand(), preview(8, { branch: "fix-2" }));
  const branch = await ship(stand(), here({ environment: "preview", branch: "fix-2" }));
  expect(await Promise.all([first, renamed, other, branch].map(({ id }) => stateOf(id)))).toEqual([
    "superseded",
    "live",
    "live",
    "live",
  ]);
  expect([renamed.pullRequest, branch.pullRequest]).toEqual([7, null]);
  expect(placeAt(7)).toEqual({ [renamed.targetDeploymentId ?? ""]: 100 });
  expect(slotOf("preview", "fix", 7)).toBe("preview:pr-7");
  expect(slotOf("preview", "pr-7", null)).not.toBe(slotOf("preview", "x", 7));
});

test("a pull request is not deployed anywhere but to a preview", async () => {
  const answer = await api().post("/trigger", {
    environment: "staging",
    pullRequest: 7,
    source: { git: "https://x" },
    ...here(),
  });
  expect([answer.status, answer.body.error.hint]).toEqual([400, expect.stringContaining("preview")]);
});

test("the same delivery twice at once is one deployment", async () => {
  const key = { "idempotency-key": `delivery ${s.name()}` };
  const body = { ...preview(7), source: { tree: "b".repeat(64) } };
  // Past the claims of the HTTP layer, as another control plane would come.
  const { triggerDeployment } = await import("./trigger.ts");
  const twice = await Promise.all(
    [1, 2, 3].map(() =>
      triggerDeployment(stand().engine.deps, stand().as.deployer, body as never, key["idempotency-key"]),
    ),
  );
  expect(new Set(twice.map(({ id }) => id)).size).toBe(1);
  const { body: list } = await api().get(`/list?project=${s.name()}`);
  expect(list.deployments).toHaveLength(1);
  expect(await s.audited("deployment.trigger", twice[0]?.id ?? "")).toHaveLength(1);
  await reached(stand(), twice[0]?.id ?? "", "live");
});

test("closed, its hosts are taken away and its releases let go; closed again, nothing happens", async () => {
  const [old, live] = [await ship(stand(), preview(7)), await ship(stand(), preview(7))];
  const other = await ship(stand(), preview(8));
  expect((await close("preview:pr-7")).toSorted()).toEqual([old.id, live.id].toSorted());
  await eventually(() => stand().target.effects).toContain(`vacate ${s.name()}/pr/7`);
  for (const each of [old, live])
    await eventually(() => stand().target.retired()).toContain(each.targetDeploymentId);
  await eventually(async () => (await s.row(live.id)).cleanup).toBeNull();
  expect(await stateOf(live.id)).toBe("superseded");
  expect(await close("preview:pr-7")).toEqual([]);
  expect(await s.audited("place.close", `${s.projectId()}/preview:pr-7`)).toHaveLength(1);
  expect([placeAt(7), placeAt(8)]).toEqual([{}, { [other.targetDeploymentId ?? ""]: 100 }]);
});

test("closed while it is built, the build is ended and nothing goes live", async () => {
  s.holdBuilds();
  const building = await trigger(stand(), preview(7));
  await eventually(async () => (await s.view(building)).targetDeploymentId).not.toBeNull();
  const { targetDeploymentId } = await s.view(building);
  const waiting = await trigger(stand(), preview(7, { branch: "other" }));
  await close("preview:pr-7");
  expect(await Promise.all([building, waiting].map(stateOf))).toEqual(["canceled", "canceled"]);
  await eventually(() => stand().target.effects).toContain(`cancel ${targetDeploymentId}`);
});

test("opened again at once, the place belongs to the new deployment", async () => {
  const old = await ship(stand(), preview(7));
  await close("preview:pr-7");
  const again = await ship(stand(), preview(7));
  await eventually(async () => (await s.row(old.id)).cleanup).toBeNull();
  expect(placeAt(7)).toEqual({ [again.targetDeploymentId ?? ""]: 100 });
});

test("closed with contract migrations to come, it comes to rest without them", async () => {
  const schema = { expand: [], contract: ["1.sql"], timeoutMs: 1_000, hold: null };
  s.prepare({ plan: { ...PLAN, schema } });
  const live = await ship(stand(), preview(7));
  expect((await s.row(live.id)).contractAt).not.toBeNull();
  await close("preview:pr-7");
  await eventually(async () => (await s.row(live.id)).cleanup).toBeNull();
  expect(await s.row(live.id)).toMatchObject({ contractAt: null, state: "superseded" });
  await eventually(async () => (await s.row(live.id)).leaseOwner).toBeNull();
});

test("closed while traffic moves, only what waits is stopped; the rest is for the next close", async () => {
  const live = await ship(stand(), preview(7));
  s.prepare(withStrategy({ kind: "canary", steps: [{ weight: 10, bakeMs: 600_000 }], analysis: ANALYSIS }));
  const canary = await trigger(stand(), preview(7));
  await eventually(() => placeAt(7)).toHaveProperty(live.targetDeploymentId ?? "", 90);
  const waiting = await trigger(stand(), preview(7));
  expect(await close("preview:pr-7")).toEqual([waiting]);
  expect(await close("preview:pr-7")).toEqual([]);
  expect(await Promise.all([live.id, canary, waiting].map(stateOf))).toEqual([
    "live",
    "shifting",
    "canceled",
  ]);
  expect(await s.audited("place.close", `${s.projectId()}/preview:pr-7`)).toHaveLength(1);
  await api().post(`/abort/${canary}`, {});
  await reached(stand(), canary, "rolled_back");
  expect(placeAt(7)).toEqual({ [live.targetDeploymentId ?? ""]: 100 });
  await close("preview:pr-7");
  await eventually(() => stand().target.effects).toContain(`vacate ${s.name()}/pr/7`);
  expect(await stateOf(live.id)).toBe("superseded");
});

test("a viewer closes nothing, and only previews are closed", async () => {
  const live = await ship(stand(), preview(7));
  await expect(close("preview:pr-7", stand().as.viewer)).rejects.toMatchObject({ code: "forbidden" });
  await expect(close("production")).rejects.toMatchObject({ code: "bad_request", hint: expect.any(String) });
  expect(await stateOf(live.id)).toBe("live");
  expect(await s.audited("place.close", `${s.projectId()}/preview:pr-7`)).toEqual([]);
});
