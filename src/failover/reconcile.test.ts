import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { freshDatabase } from "../../test/support/database.ts";
import {
  AFTER_DEATH_MS,
  AS,
  type FailoverStand,
  failoverStand,
  Killed,
  type SharedDatabase,
} from "../../test/support/failover-stand.ts";
import { AppError } from "../foundation/errors.ts";
import type { FailoverPolicy } from "./index.ts";
import { claim } from "./lease.ts";
import { readStandby, writeStandby } from "./queries.ts";

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

const newId = () => `dep_${++count}`;
const path = (rest = "") => `/api/projects/${stand.project.name}/failover${rest}`;
const isReady = async (id: string) => {
  const { standby } = await stand.status();
  return standby?.state === "ready" && standby.mirrors === id;
};
const serves = (side: string) => async () => {
  const found = await stand.status();
  return found.serving === side && found.switch === null;
};

/** A deployment that is live and mirrored. */
async function mirrored(id = newId(), policy: FailoverPolicy = stand.policy): Promise<string> {
  await stand.goLive(id, policy);
  await stand.run(() => isReady(id));
  return id;
}

describe("a standby", () => {
  it("mirrors what is live, shows it at its hosts, and is no production and runs no crons", async () => {
    const id = await mirrored();
    expect(stand.world.hosts).toEqual(
      new Map([
        [`${stand.project.name}-standby.localhost`, "dpl_dock_1"],
        [stand.policy.hostname, "dpl_dock_1"],
      ]),
    );
    expect([stand.world.production, stand.world.crons.size]).toEqual([null, 0]);
    expect((await stand.status()).standby).toMatchObject({ state: "ready", deploymentId: id, reason: null });
    expect(await stand.events()).toEqual(["standby_ready standby"]);
  });

  it("follows to the next release, and back when that is rolled back, without another build", async () => {
    const [first, second] = [await mirrored(), await mirrored()];
    expect(stand.world.hosts.get(stand.policy.hostname)).toBe("dpl_dock_2");
    await stand.goLive(first);
    await stand.turn("failover_standbys");
    expect(await stand.status()).toMatchObject({
      standby: { state: "stale", mirrors: second, deploymentId: first },
    });
    await stand.run(() => isReady(first));
    expect([stand.world.builds.size, stand.world.hosts.get(stand.policy.hostname)]).toEqual([
      2,
      "dpl_dock_1",
    ]);
  });

  it("goes on with the newest when another one goes live while it is built", async () => {
    const [first, second] = [newId(), newId()];
    await stand.goLive(first);
    while (stand.world.builds.size === 0) await stand.turn("failover_standbys");
    await stand.goLive(second);
    await stand.run(() => isReady(second));
    expect(stand.world.hosts.get(stand.policy.hostname)).toBe("dpl_dock_2");
    expect((await stand.events()).filter((event) => event.startsWith("standby_ready"))).toHaveLength(1);
  });

  it("is built anew, later, when its build failed, and says why meanwhile", async () => {
    const id = newId();
    await stand.goLive(id);
    while (stand.world.builds.size === 0) await stand.turn("failover_standbys");
    for (const build of stand.world.builds.values()) build.state = "error";
    await stand.run(async () => (await stand.status()).standby.state === "failed");
    expect((await stand.status()).standby.reason).toBe("Its build failed: It broke. (BUILD_FAILED)");
    await stand.run(() => isReady(id));
    expect([...stand.world.builds.keys()]).toEqual([`standby:${id}:1:app`, `standby:${id}:2:app`]);
  });

  it("is not ready while it does not answer, and is built anew when the dock has lost it", async () => {
    const id = await mirrored();
    stand.world.up.standby = false;
    await stand.run(async () => (await stand.status()).standby.state === "failed");
    expect((await stand.status()).standby.reason).toContain("the connection was refused");
    stand.world.builds.clear();
    await stand.run(async () => stand.world.builds.size > 0);
    stand.world.up.standby = true;
    await stand.run(() => isReady(id));
    const kinds = await stand.events();
    expect(kinds).toEqual(["standby_ready standby", "standby_failed standby", "standby_ready standby"]);
  });

  it("is not ready either when the whole dock is away, and is not built anew for that", async () => {
    const id = await mirrored();
    stand.world.up.standby = false;
    stand.world.dockError = new AppError("upstream", "The dock is away.");
    await stand.run(async () => (await stand.status()).standby.state === "failed");
    stand.world.up.standby = true;
    stand.world.dockError = null;
    await stand.run(() => isReady(id));
    expect(stand.world.builds.size).toBe(1);
  });

  it("names the variables that it lacks, and no value of any is in a row", async () => {
    stand.world.variables = [
      { key: "STRIPE_KEY", value: null },
      { key: "FROM_VERCEL", value: "a-value-from-vercel" },
    ];
    await mirrored();
    expect((await stand.status()).standby.missingVariables).toEqual(["STRIPE_KEY"]);
    const [build] = stand.world.builds.values();
    expect(build?.env).toEqual({ OWN: "1", FROM_VERCEL: "a-value-from-vercel" });
    const rows = await database.pool.query("select row_to_json(s)::text as row from failover_standbys s");
    expect(rows.rows.map(({ row }) => row).join()).not.toContain("a-value-from-vercel");
  });

  it("is kept no longer when the live configuration does not ask for it", async () => {
    await mirrored();
    await stand.goLive(newId(), null);
    await stand.turn("failovers");
    expect(await stand.status()).toMatchObject({ asked: false, automatic: { on: false } });
  });

  it("is ready in the end wherever its worker dies, built once and told once", async () => {
    for (let death = 1; ; death++) {
      stand = await failoverStand(database);
      const id = newId();
      const died = await killedAt(death, async () => {
        await stand.goLive(id);
        await stand.run(() => isReady(id));
      });
      stand.clock.move(AFTER_DEATH_MS);
      await stand.run(() => isReady(id));
      expect(stand.world.builds.size, `killed at call ${death}`).toBe(1);
      expect(await stand.events(), `killed at call ${death}`).toEqual(["standby_ready standby"]);
      if (!died) break;
    }
  });
});

/** Runs with a worker that dies at a call of a port: odd ones before it had its effect, even ones after. */
async function killedAt(death: number, act: () => Promise<void>): Promise<boolean> {
  stand.world.dieAt = { left: Math.ceil(death / 2), when: death % 2 === 1 ? "before" : "after" };
  try {
    await act();
    return false;
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
    return true;
  } finally {
    stand.world.dieAt = null;
  }
}

describe("an automatic switch", () => {
  it("goes to the standby and comes back as the platform goes and comes, each told and audited once", async () => {
    await mirrored();
    stand.world.up.primary = false;
    await stand.run(serves("standby"));
    expect([stand.world.points, stand.world.production]).toEqual(["standby", "dpl_dock_1"]);
    expect([...stand.world.crons.values()]).toEqual([true]);
    stand.world.up.primary = true;
    await stand.run(serves("primary"));
    expect([stand.world.points, stand.world.moves]).toEqual(["primary", 2]);
    expect([...stand.world.crons.values()]).toEqual([false]);
    expect((await stand.events()).slice(1)).toEqual([
      "switching standby",
      "switched standby",
      "switching primary",
      "switched primary",
    ]);
    for (const action of ["failover.switch", "failover.switched"]) {
      expect((await stand.audited(action)).map(({ actor_name }) => actor_name)).toEqual([
        "failover",
        "failover",
      ]);
    }
  });

  it("is not made while the standby is not ready, and is made as soon as it is", async () => {
    await mirrored();
    stand.world.up = { primary: false, hostname: false, standby: false };
    await stand.run(async () => (await stand.status()).standby.state === "failed");
    for (let turns = 0; turns < 10; turns++) {
      stand.clock.move(10_000);
      await stand.turn("failovers");
    }
    expect(await stand.status()).toMatchObject({ serving: "primary", switch: null });
    stand.world.up.standby = true;
    await stand.run(serves("standby"));
  });

  it("brings a new release to visitors once it answers, while the standby serves", async () => {
    await mirrored();
    stand.world.up.primary = false;
    await stand.run(serves("standby"));
    const next = await mirrored();
    expect(stand.world.hosts.get(stand.policy.hostname)).toBe("dpl_dock_2");
    expect([stand.world.production, (await stand.status()).standby.mirrors]).toEqual(["dpl_dock_2", next]);
  });

  it("is given up when another release has gone live, which the standby does not show", async () => {
    const id = await mirrored();
    stand.world.up.primary = false;
    stand.world.switchError = new AppError("upstream", "The DNS is away.");
    await stand.run(async () => (await stand.status()).switch !== null);
    const next = newId();
    await stand.goLive(next);
    stand.world.switchError = null;
    stand.clock.move(60_000);
    await stand.turn("failovers");
    expect([stand.world.points, (await stand.events()).at(-1)]).toEqual(["primary", "abandoned standby"]);
    expect((await stand.status()).events[0].reason).toBe(`The standby shows ${id}, and ${next} is live.`);
  });

  it("that does not succeed is tried again, then given up, with the hostname where it was", async () => {
    await mirrored();
    stand.world.up.primary = false;
    stand.world.switchError = new AppError("upstream", "The DNS is away.");
    await stand.run(async () => (await stand.events()).includes("abandoned standby"));
    expect(await stand.status()).toMatchObject({ serving: "primary", switch: null });
    expect(stand.world.count("point")).toBe(0);
    expect([...stand.world.crons.values()]).toEqual([false]);
    expect(await stand.audited("failover.abandoned")).toHaveLength(1);
  });

  it("is finished wherever its worker dies: moved once, told once, audited once", async () => {
    for (let death = 1; ; death++) {
      stand = await failoverStand(database);
      await mirrored();
      stand.world.up.primary = false;
      const died = await killedAt(death, () => stand.run(serves("standby")));
      stand.clock.move(AFTER_DEATH_MS);
      await stand.run(serves("standby"));
      const told = [await stand.events(), await stand.audited("failover.switched"), stand.world.moves];
      expect(told, `killed at call ${death}`).toEqual([
        ["standby_ready standby", "switching standby", "switched standby"],
        [expect.objectContaining({ actor_name: "failover" })],
        1,
      ]);
      if (!died) break;
    }
  });
});

describe("a hostname", () => {
  it("that was moved outside is served where it was moved, as by a person", async () => {
    await mirrored();
    await stand.turn("failovers");
    stand.world.points = "standby";
    stand.clock.move(61_000);
    await stand.run(serves("standby"));
    expect(await stand.status()).toMatchObject({ switchedBy: "person" });
    expect(await stand.events()).toContain("moved standby");
    expect(await stand.audited("failover.moved")).toHaveLength(1);
    expect([stand.world.production, ...stand.world.crons.values()]).toEqual(["dpl_dock_1", true]);
    stand.world.points = "primary";
    stand.clock.move(61_000);
    await stand.run(serves("primary"));
    expect([...stand.world.crons.values()]).toEqual([false]);
  });

  it("is moved for the project that named it first only", async () => {
    const first = stand;
    await mirrored(newId(), { ...stand.policy, hostname: "shared.example.com" });
    stand = await failoverStand(database);
    stand.clock.move(1_000);
    await mirrored(newId(), { ...stand.policy, hostname: "shared.example.com" });
    await stand.request(AS.deployer, "POST", path("/switch"), { to: "standby" });
    await stand.run(async () => (await stand.events()).includes("abandoned standby"));
    const [last] = (await stand.status()).events;
    expect(last.reason).toBe(`The hostname shared.example.com is the project ${first.project.name}'s.`);
    expect(stand.world.moves).toBe(0);
  });
});

describe("a lease", () => {
  it("that was taken over writes nothing", async () => {
    await mirrored();
    const key = { projectId: stand.project.id, environment: "production" };
    const take = (owner: string) =>
      claim(stand.db, "failover_standbys", key, { owner, now: stand.clock.now() });
    stand.clock.move(20_000);
    const stale = await take("a");
    expect(await take("b")).toBeNull();
    stand.clock.move(AFTER_DEATH_MS);
    expect((await take("b"))?.token).toBe((stale?.token ?? 0) + 1);
    const standby = await readStandby(stand.db, key);
    if (!stale || !standby) throw new Error("there is no standby");
    expect(await writeStandby(stand.db, stale, { ...standby, error: "stale" })).toBe(false);
    expect((await readStandby(stand.db, key))?.error).toBeNull();
  });
});
