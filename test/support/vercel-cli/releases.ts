import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { json } from "./account.ts";
import { may, must, type Scene, type Story } from "./story.ts";

const HOST = /https:\/\/([a-z0-9-]+\.localhost)/;

/** The host that a deploy prints, and nothing else, on stdout. */
export function hostOf(stdout: string): string {
  const host = HOST.exec(stdout)?.[1];
  if (!host) throw new Error(`no deployment in ${JSON.stringify(stdout)}`);
  return host;
}

async function seen(scene: Scene, host: string): Promise<string> {
  return (await scene.stand.platform.visit(host)).text.trim();
}

async function publish(scene: Scene, text: string, flags: string): Promise<string> {
  const cwd = await scene.stand.directory("shop", { "index.html": text });
  const ran = await scene.run(`deploy --yes ${flags}`, { cwd });
  expect(ran.code, ran.stderr).toBe(0);
  expect(ran.stdout.trim()).toMatch(/^https:\/\/\S+$/);
  return hostOf(ran.stdout);
}

function keep({ kept }: Scene, name: string): string {
  const value = kept.get(name);
  if (value === undefined) throw new Error(`an earlier case left no ${name}`);
  return value;
}

/** One static site from its first preview to its removal. */
export const releasesStory: Story = {
  name: "releases",
  cases: [
    must("vercel deploy (files)", async (scene) => {
      const cwd = await scene.stand.directory("shop");
      await scene.stand.link(cwd, "shop");
      const preview = await publish(scene, "preview", "--meta ticket=42");
      expect(await seen(scene, preview)).toBe("preview");
      scene.kept.set("preview", preview);
    }),
    must("vercel deploy --prod", async (scene) => {
      const first = await publish(scene, "one", "--prod");
      expect(await seen(scene, "shop.localhost")).toBe("one");
      scene.kept.set("first", first);
    }),
    must("vercel deploy --prod --skip-domain", async (scene) => {
      const staged = await publish(scene, "two", "--prod --skip-domain");
      expect(await seen(scene, "shop.localhost")).toBe("one");
      expect(await seen(scene, staged)).toBe("two");
      const row = await json(scene.stand, `/v13/deployments/${staged}`);
      expect(row).toMatchObject({ aliasAssigned: true, readySubstate: "STAGED", alias: [] });
      scene.kept.set("staged", staged);
    }),
    must("vercel promote (staged)", async (scene) => {
      const ran = await scene.run(`promote ${keep(scene, "staged")} --yes`, { cwd: await shop(scene) });
      expect(ran.code, ran.stderr).toBe(0);
      expect(ran.stderr).toContain("was promoted");
      expect(await seen(scene, "shop.localhost")).toBe("two");
      expect(ran.requests.some((one) => one.startsWith("POST /v13/deployments"))).toBe(false);
    }),
    must("vercel promote status", succeedsIn("promote status")),
    must("vercel rollback", async (scene) => {
      const ran = await scene.run(`rollback ${keep(scene, "first")} --yes`, { cwd: await shop(scene) });
      expect(ran.code, ran.stderr).toBe(0);
      expect(ran.stderr).toContain("was rolled back");
      expect(await seen(scene, "shop.localhost")).toBe("one");
      expect((await json(scene.stand, "/v9/projects/shop")).autoAssignCustomDomains).toBe(false);
    }),
    must("vercel rollback status", succeedsIn("rollback status", "was rolled back")),
    must("vercel promote (preview: a rebuild)", async (scene) => {
      const ran = await scene.run(`promote ${keep(scene, "preview")} --yes`, { cwd: await shop(scene) });
      expect(ran.code, ran.stderr).toBe(0);
      expect(ran.requests).toContain("POST /v13/deployments");
      const { deployments } = await json(scene.stand, "/v6/deployments?app=shop&target=production&limit=1");
      expect(deployments[0].meta).toMatchObject({ action: "promote" });
    }),
    must("vercel redeploy", async (scene) => {
      const ran = await scene.run(`redeploy ${keep(scene, "preview")}`, { cwd: await shop(scene) });
      expect(ran.code, ran.stderr).toBe(0);
      const again = hostOf(ran.stdout);
      expect(again).not.toBe(keep(scene, "preview"));
      expect(await seen(scene, again)).toBe("preview");
      const { meta } = await json(scene.stand, `/v13/deployments/${again}`);
      expect(meta).toMatchObject({ action: "redeploy", ticket: "42" });
      scene.kept.set("again", again);
    }),
    must("vercel ls", async (scene) => {
      const cwd = await shop(scene);
      const all = await scene.run("ls", { cwd });
      expect(all.code).toBe(0);
      for (const name of ["preview", "first", "staged", "again"])
        expect(all.stdout).toContain(keep(scene, name));
    }),
    must("vercel ls --prod", async (scene) => {
      const ran = await scene.run("ls --prod", { cwd: await shop(scene) });
      expect(ran.stdout).toContain(keep(scene, "first"));
      expect(ran.stdout).not.toContain(keep(scene, "preview"));
    }),
    must("vercel ls --meta", async (scene) => {
      const ran = await scene.run("ls --meta ticket=42", { cwd: await shop(scene) });
      expect(ran.stdout).toContain(keep(scene, "preview"));
      expect(ran.stdout).not.toContain(keep(scene, "first"));
    }),
    must("vercel ls --next", async (scene) => {
      const { deployments } = await json(scene.stand, "/v6/deployments?app=shop");
      const newest = deployments[0];
      const ran = await scene.run(`ls --next ${newest.created}`, { cwd: await shop(scene) });
      expect(ran.stdout).not.toContain(newest.url);
      expect(ran.stdout).toContain(deployments[1].url);
    }),
    must("vercel inspect", async (scene) => {
      const ran = await scene.run(`inspect ${keep(scene, "first")}`);
      expect(ran.code).toBe(0);
      expect(ran.stderr).toMatch(/production[\s\S]*Ready[\s\S]*shop\.localhost[\s\S]*index\.html/);
    }),
    must("vercel inspect --json", async (scene) => {
      const ran = await scene.run(`inspect ${keep(scene, "first")} --json`);
      expect(JSON.parse(ran.stdout)).toMatchObject({ readyState: "READY", url: keep(scene, "first") });
    }),
    must("vercel inspect --logs", async (scene) => {
      const ran = await scene.run(`inspect ${keep(scene, "first")} --logs`);
      expect(ran).toMatchObject({ code: 0, stderr: expect.stringMatching(/1 files|using that build/) });
    }),
    may("vercel alias set <deployment> <another domain>", async (scene) => {
      const named = await scene.run(`alias set ${keep(scene, "preview")} look.example.com`);
      expect(named.code, named.stderr).toBe(0);
      expect(await seen(scene, "look.example.com")).toBe("preview");
    }),
    must("vercel alias set <deployment> <name>", async (scene) => {
      const short = await scene.run(`alias set ${keep(scene, "preview")} shortcut`);
      expect(short.code, short.stderr).toBe(0);
      expect(await seen(scene, "shortcut.localhost")).toBe("preview");
    }),
    must("vercel alias ls", async (scene) => {
      const ran = await scene.run("alias ls");
      expect(ran.code).toBe(0);
      expect(ran.stderr + ran.stdout).toContain("shortcut.localhost");
    }),
    must("vercel alias rm", async (scene) => {
      expect(await scene.run("alias rm shortcut.localhost --yes")).toMatchObject({ code: 0 });
      expect((await scene.stand.platform.visit("shortcut.localhost")).status).toBe(404);
    }),
    may("vercel bisect", async (scene) => {
      const cwd = await scene.stand.directory("bisect");
      const script = join(cwd, "is-good.sh");
      await writeFile(script, "#!/bin/sh\nexit 1\n", { mode: 0o755 });
      const newest = hostOf((await scene.run("ls --prod", { cwd: await shop(scene) })).stdout);
      const ran = await scene.run(
        `bisect --good ${keep(scene, "first")} --bad ${newest} --path / --run ${script}`,
      );
      expect(ran.code, ran.stderr).toBe(0);
      expect(ran.stderr).toContain(`The first bad deployment is: https://${keep(scene, "staged")}`);
    }),
    must("vercel rm <deployment>", async (scene) => {
      expect(await scene.run(`rm ${keep(scene, "again")} --yes`)).toMatchObject({ code: 0 });
      expect((await scene.stand.platform.visit(keep(scene, "again"))).status).toBe(404);
      expect((await scene.stand.platform.fetch(`/v13/deployments/${keep(scene, "again")}`)).status).toBe(404);
    }),
    must("vercel rm <project>", async (scene) => {
      const ran = await scene.run("rm shop --yes");
      expect(ran.code, ran.stderr).toBe(0);
      expect((await scene.stand.platform.visit("shop.localhost")).status).toBe(404);
    }),
  ],
};

/** Production in two steps. */
export const rollingStory: Story = {
  name: "rolling releases",
  cases: [
    must("vercel rolling-release configure", async (scene) => {
      await scene.stand.link(scene.cwd, "slow");
      await publishSlow(scene, "stable", "--prod");
      const ran = await scene.run(
        "rolling-release configure --enable --advancement-type=manual-approval --stage=20",
      );
      expect(ran.code, ran.stderr).toBe(0);
      expect((await json(scene.stand, "/v9/projects/slow")).rollingRelease.stages).toHaveLength(2);
    }),
    must("vercel rolling-release start", async (scene) => {
      const canary = await publishSlow(scene, "canary", "--prod --skip-domain");
      const { id } = await json(scene.stand, `/v13/deployments/${canary}`);
      scene.kept.set("canary", id);
      const ran = await scene.run(`rolling-release start --dpl=${id} --yes`);
      expect(ran.code, ran.stderr).toBe(0);
      expect((await scene.stand.platform.route("slow.localhost")).targets).toContainEqual({
        release: id,
        weight: 20,
      });
    }),
    must("vercel rolling-release fetch", async (scene) => {
      const ran = await scene.run("rolling-release fetch");
      expect(ran.code).toBe(0);
      expect(ran.stderr + ran.stdout).toContain(keep(scene, "canary"));
    }),
    must("vercel rolling-release approve", async (scene) => {
      const ran = await scene.run(
        `rolling-release approve --dpl=${keep(scene, "canary")} --currentStageIndex=0`,
      );
      expect(ran.code, ran.stderr).toBe(0);
      expect(await seen(scene, "slow.localhost")).toBe("canary");
    }),
    must("vercel rolling-release complete", async (scene) => {
      const id = await startAgain(scene, "finished");
      const ran = await scene.run(`rolling-release complete --dpl=${id}`);
      expect(ran.code, ran.stderr).toBe(0);
      expect(await seen(scene, "slow.localhost")).toBe("finished");
    }),
    must("vercel rolling-release abort", async (scene) => {
      const id = await startAgain(scene, "regretted");
      const ran = await scene.run(`rolling-release abort --dpl=${id}`);
      expect(ran.code, ran.stderr).toBe(0);
      expect((await scene.stand.platform.route("slow.localhost")).targets).toHaveLength(1);
      expect(await seen(scene, "slow.localhost")).toBe("finished");
    }),
  ],
};

async function startAgain(scene: Scene, text: string): Promise<string> {
  const host = await publishSlow(scene, text, "--prod --skip-domain");
  const { id } = await json(scene.stand, `/v13/deployments/${host}`);
  const ran = await scene.run(`rolling-release start --dpl=${id} --yes`);
  expect(ran.code, ran.stderr).toBe(0);
  return id;
}

async function publishSlow(scene: Scene, text: string, flags: string): Promise<string> {
  await scene.stand.directory("rolling-releases", { "index.html": text });
  const ran = await scene.run(`deploy --yes ${flags}`);
  expect(ran.code, ran.stderr).toBe(0);
  return hostOf(ran.stdout);
}

function shop(scene: Scene): Promise<string> {
  return scene.stand.directory("shop");
}

function succeedsIn(args: string, text = "") {
  return async (scene: Scene): Promise<void> => {
    const ran = await scene.run(args, { cwd: await shop(scene) });
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stderr).toContain(text);
  };
}
