import { readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accountStory, fringeStory } from "../support/vercel-cli/account.ts";
import { buildsStory, deployKitchen } from "../support/vercel-cli/builds.ts";
import { type CliStand, startCliStand } from "../support/vercel-cli/cli.ts";
import { releasesStory, rollingStory } from "../support/vercel-cli/releases.ts";
import { type Result, type Story, table, tryCase } from "../support/vercel-cli/story.ts";
import { variablesStory } from "../support/vercel-cli/variables.ts";

/**
 * The official CLI, unmodified and pinned, against a real dock with a gateway and a Postgres. What it can do there is
 * written down as a table; the last tests compare that with the documentation.
 */
const STORIES = [releasesStory, buildsStory, variablesStory, accountStory, rollingStory, fringeStory];
const PAGE = "docs/dock-compatibility.md";
const TABLE = /(<!-- vercel-cli -->\n)[\s\S]*?(\n<!-- \/vercel-cli -->)/;

let stand: CliStand;
const results = new Map<Story, Result[]>();
const unknown = new Map<string, readonly string[]>();

beforeAll(async () => {
  stand = await startCliStand();
  const run = (args: string, options = {}) => stand.vercel(args.split(" "), options);
  await deployKitchen({ stand, run });
  const crons = JSON.stringify([{ path: "/tidy-up", schedule: "0 4 * * 1-5" }]);
  await stand.platform.pool.query(`update dock.artifacts set crons = $1 where kind = 'server'`, [crons]);
  await stand.platform.restartDock();
});
afterAll(() => stand.close());

// Two stories at a time: the CLI is busy with itself most of the time, and there may be two processors.
describe.concurrent("the official CLI", () => {
  for (const story of STORIES) {
    it(story.name, { timeout: 600_000 }, async () => {
      const cwd = await stand.directory(story.name.replaceAll(" ", "-"));
      const kept = new Map<string, string>();
      const failures: unknown[] = [];
      const told: Result[] = [];
      results.set(story, told);
      for (const one of story.cases) {
        const tried = await tryCase(one, { stand, cwd, kept });
        told.push(tried.result);
        if (tried.unknown.length > 0) unknown.set(one.command, tried.unknown);
        if (one.required && tried.failure) failures.push(new Error(one.command, { cause: tried.failure }));
      }
      expect(failures).toEqual([]);
    });
  }
});

describe("what the official CLI can do", () => {
  const all = () => STORIES.flatMap((story) => results.get(story) ?? []);

  it("is at least 95 of 100 of what deployments need, and none of that asks for what is not there", () => {
    const required = new Set(
      STORIES.flatMap((story) => story.cases.filter((one) => one.required).map((one) => one.command)),
    );
    const passing = all().filter((result) => required.has(result.command) && result.status === "passes");
    expect(passing.length / required.size).toBeGreaterThanOrEqual(0.95);
    expect([...unknown].filter(([command]) => required.has(command))).toEqual([]);
  });

  it(`is what ${PAGE} says`, async () => {
    const page = await readFile(PAGE, "utf8");
    const fresh = page.replace(TABLE, (_, before, after) => `${before}${table(all())}${after}`);
    console.log(table(all()));
    for (const [command, asked] of unknown) console.log(`${command} asked for ${asked.join(", ")}`);
    if (process.env.UPDATE_DOCS === "1") await writeFile(PAGE, fresh);
    else expect(page, "stale: run these tests again with UPDATE_DOCS=1").toBe(fresh);
  });
});
