import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { freshDatabase } from "../../test/support/database.ts";
import {
  AS,
  type FailoverStand,
  failoverStand,
  type SharedDatabase,
} from "../../test/support/failover-stand.ts";
import type { FailoverPolicy } from "./index.ts";

let database: SharedDatabase;
let stand: FailoverStand;
let count = 0;
beforeAll(async () => {
  database = await freshDatabase({ migrations: ["control"] });
});
afterAll(() => database[Symbol.asyncDispose]());
beforeEach(async () => {
  stand = await failoverStand(database);
});

const path = (rest = "") => `/api/projects/${stand.project.name}/failover${rest}`;
const move = (body: unknown, as = AS.deployer) => stand.request(as, "POST", path("/switch"), body);
const serves = (side: string) => async () => {
  const found = await stand.status();
  return found.serving === side && found.switch === null;
};

async function ready(policy: FailoverPolicy = stand.policy): Promise<string> {
  const id = `dep_v${++count}`;
  await stand.goLive(id, policy);
  await stand.run(async () => (await stand.status()).standby?.state === "ready");
  return id;
}

describe("a switch by hand", () => {
  it("is a deployer's, there and back; it does not come back by itself", async () => {
    await ready();
    expect((await move({ to: "standby" }, AS.viewer)).status).toBe(403);
    const asked = await move({ to: "standby", reason: "a drill" });
    expect(asked).toMatchObject({
      status: 202,
      body: { serving: "primary", switch: { to: "standby", by: "person", actorName: "deployer" } },
    });
    await stand.run(serves("standby"));
    for (let turns = 0; turns < 30; turns++) {
      stand.clock.move(10_000);
      await stand.turn("failovers");
    }
    expect(await stand.status()).toMatchObject({
      serving: "standby",
      automatic: { heldBack: "A person moved it here, and a person moves it back." },
    });
    expect((await move({ to: "primary" })).status).toBe(202);
    await stand.run(serves("primary"));
    expect(await stand.audited("failover.switch")).toMatchObject([
      { actor_name: "deployer", details: { to: "standby", reason: "a drill", force: false } },
      { actor_name: "deployer", details: { to: "primary" } },
    ]);
  });

  it("that is asked for twice is one", async () => {
    await ready();
    const [one, two] = [await move({ to: "standby" }), await move({ to: "standby" })];
    expect(two.body.switch.id).toBe(one.body.switch.id);
    await stand.run(serves("standby"));
    expect((await move({ to: "standby" })).body.switch).toBeNull();
    expect(await stand.audited("failover.switch")).toHaveLength(1);
  });

  it("overtakes the one the other way", async () => {
    await ready();
    await stand.turn("failovers");
    stand.clock.move(10_000);
    await stand.turn("failovers");
    const there = (await move({ to: "standby" })).body.switch.id;
    const back = (await move({ to: "primary", force: true })).body.switch.id;
    await stand.run(serves("primary"));
    const { events } = await stand.status();
    const of = (id: string) =>
      events
        .filter((event: { switchId: string }) => event.switchId === id)
        .map(({ kind }: { kind: string }) => kind)
        .reverse();
    expect([of(there), of(back)]).toEqual([
      ["switching", "abandoned"],
      ["switching", "switched"],
    ]);
    expect(stand.world.points).toBe("primary");
  });

  it("to a standby that is not ready, or back to a primary that is not well, has to be meant", async () => {
    await ready();
    stand.world.up = { primary: false, hostname: false, standby: false };
    await stand.run(async () => (await stand.status()).standby.state === "failed");
    const refused = await move({ to: "standby" });
    expect(refused).toMatchObject({
      status: 409,
      body: { error: { hint: expect.stringContaining("--force") } },
    });
    expect((await move({ to: "standby", force: true })).status).toBe(202);
    await stand.run(serves("standby"));
    await stand.turn("failovers");
    expect(await move({ to: "primary" })).toMatchObject({
      status: 409,
      body: { error: { message: expect.stringContaining("not known to be well") } },
    });
    expect((await move({ to: "primary", force: true })).status).toBe(202);
    await stand.run(serves("primary"));
  });

  it("to a standby that shows nothing is refused even so", async () => {
    await stand.goLive(`dep_v${++count}`);
    await stand.turn("failovers");
    expect((await move({ to: "standby", force: true })).status).toBe(409);
  });

  it("needs a switch in the configuration", async () => {
    await ready({ ...stand.policy, switch: null, automatic: false });
    const refused = await move({ to: "standby" });
    expect(refused).toMatchObject({
      status: 422,
      body: { error: { hint: expect.stringContaining("signalbox.yaml") } },
    });
  });
});

describe("the automatic", () => {
  const set = (on: boolean, as = AS.deployer) => stand.request(as, "PUT", path("/automatic"), { on });

  it("is held back by a deployer's word, and goes on with another", async () => {
    await ready();
    expect((await set(false, AS.viewer)).status).toBe(403);
    expect(await set(false)).toMatchObject({
      status: 200,
      body: { automatic: { configured: true, on: false } },
    });
    await set(false);
    stand.world.up.primary = false;
    for (let turns = 0; turns < 10; turns++) {
      stand.clock.move(10_000);
      await stand.turn("failovers");
    }
    expect(await stand.status()).toMatchObject({
      serving: "primary",
      automatic: { heldBack: "A person has switched automatic failover off." },
    });
    await set(true);
    await stand.run(serves("standby"));
    expect(await stand.audited("failover.automatic_off")).toHaveLength(1);
    expect(await stand.audited("failover.automatic_on")).toHaveLength(1);
    expect((await stand.events()).filter((event) => event.startsWith("automatic"))).toEqual([
      "automatic_off",
      "automatic_on",
    ]);
  });
});

describe("the status", () => {
  it("of a project without failover says how to get one, and the list leaves it out", async () => {
    expect(await stand.request(AS.viewer, "GET", path())).toMatchObject({
      status: 404,
      body: { error: { hint: expect.stringContaining("failover: dock") } },
    });
    await ready();
    const { body } = await stand.request(AS.viewer, "GET", "/api/failovers");
    const names = body.failovers.map(({ project }: { project: string }) => project);
    expect(names).toContain(stand.project.name);
    expect(names).toEqual([...names].sort());
  });

  it("tells all there is to know", async () => {
    const id = await ready();
    await stand.turn("failovers");
    expect(await stand.status()).toMatchObject({
      project: stand.project.name,
      environment: "production",
      asked: true,
      hostname: stand.policy.hostname,
      serving: "primary",
      switchedBy: null,
      elsewhere: null,
      automatic: { configured: true, on: true, heldBack: null },
      primary: { verdict: "well", statusPage: null },
      standby: {
        state: "ready",
        mirrors: id,
        url: `http://${stand.project.name}-standby.localhost`,
        warning: null,
      },
      switch: null,
      switchesToday: 0,
      maxPerDay: 4,
    });
  });
});
