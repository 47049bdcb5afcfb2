import { expect } from "vitest";
import { may, must, type Scene, type Story } from "./story.ts";

/** The account, projects and what else needs no deployment. */
export const accountStory: Story = {
  name: "account and projects",
  cases: [
    must("vercel whoami", async ({ run }) => {
      expect(await run("whoami")).toMatchObject({ code: 0, stdout: expect.stringContaining("dock") });
      const flagFree = await run("whoami", { flagFree: true });
      expect(flagFree).toMatchObject({ code: 0, stdout: expect.stringContaining("dock") });
    }),
    must("vercel teams ls", async ({ run }) => {
      const ran = await run("teams ls");
      expect(ran.code).toBe(0);
      expect(ran.stderr + ran.stdout).toMatch(/Dock/);
    }),
    must("vercel --scope <slug>", async ({ run }) => {
      expect(await run("project ls --scope dock")).toMatchObject({ code: 0 });
      expect((await run("project ls --scope strangers")).code).toBe(1);
    }),
    must("vercel link (new project)", async ({ run, stand, kept }) => {
      const ran = await run("link --yes --project catalogue");
      expect(ran.code, ran.stderr).toBe(0);
      const project = await json(stand, "/v9/projects/catalogue");
      kept.set("project", project.id);
      expect(ran.requests).toContain("POST /v1/projects");
    }),
    must("vercel link (existing project)", async ({ run, stand, kept }) => {
      const cwd = await stand.directory("another-clone");
      const ran = await run("link --yes --project catalogue", { cwd });
      expect(ran.code, ran.stderr).toBe(0);
      expect(ran.requests).not.toContain("POST /v1/projects");
      const again = await run("project inspect --yes", { cwd });
      expect(again.stderr).toContain(kept.get("project"));
    }),
    must("vercel project add", async ({ run, stand }) => {
      expect(await run("project add leaflet")).toMatchObject({ code: 0 });
      expect((await stand.platform.fetch("/v9/projects/leaflet")).status).toBe(200);
    }),
    must("vercel project ls", async ({ run }) => {
      const ran = await run("project ls");
      expect(ran).toMatchObject({ code: 0 });
      expect(ran.stderr).toMatch(/catalogue[\s\S]*leaflet|leaflet[\s\S]*catalogue/);
    }),
    must("vercel project inspect", async ({ run, kept }) => {
      const ran = await run("project inspect catalogue");
      expect(ran).toMatchObject({ code: 0, stderr: expect.stringContaining(kept.get("project") ?? "?") });
    }),
    must("vercel project rm", async ({ run, stand }) => {
      expect(await run("project rm leaflet", { input: "y\n" })).toMatchObject({ code: 0 });
      expect((await stand.platform.fetch("/v9/projects/leaflet")).status).toBe(404);
    }),
    must("vercel target ls", async ({ run, stand }) => {
      await post(stand, "/v9/projects/catalogue/custom-environments", { slug: "staging" });
      const ran = await run("target ls");
      expect(ran).toMatchObject({ code: 0, stderr: expect.stringMatching(/Production[\s\S]*staging/) });
    }),
    must("vercel crons ls (none)", async ({ run }) => {
      const ran = await run("crons ls");
      expect(ran).toMatchObject({ code: 0, stderr: expect.stringContaining("No cron jobs found") });
    }),
    may("vercel git connect", async ({ run, stand }) => {
      expect(await run("git connect https://github.com/acme/shop --yes")).toMatchObject({ code: 0 });
      expect((await json(stand, "/v9/projects/catalogue")).link).toMatchObject({ org: "acme", repo: "shop" });
    }),
    may("vercel git disconnect", async ({ run, stand }) => {
      expect(await run("git disconnect --yes")).toMatchObject({ code: 0 });
      expect(await json(stand, "/v9/projects/catalogue")).not.toHaveProperty("link");
    }),
    may("vercel api", async ({ run }) => {
      const ran = await run("api /v2/user --raw");
      expect(ran.code, ran.stderr).toBe(0);
      expect(JSON.parse(ran.stdout)).toMatchObject({ user: { username: "dock" } });
    }),
  ],
};

/** Commands for resources that a deployment tool seldom needs. */
export const fringeStory: Story = {
  name: "the fringe",
  cases: [
    may("vercel domains ls", succeeds("domains ls")),
    may("vercel domains add", async ({ run, stand }) => {
      await post(stand, "/v11/projects", { name: "with-domain" });
      const ran = await run("domains add with-domain.example.org with-domain");
      expect(ran.code, ran.stderr).toBe(0);
    }),
    may("vercel domains inspect", async ({ run, stand }) => {
      await post(stand, "/v5/domains", { name: "inspected.example.net" });
      const ran = await run("domains inspect inspected.example.net");
      expect(ran.code, ran.stderr).toBe(0);
    }),
    may("vercel certs ls", succeeds("certs ls")),
    may("vercel dns ls", succeeds("dns ls")),
    may("vercel webhooks ls", succeeds("webhooks ls")),
    may(
      "vercel webhooks create",
      succeeds("webhooks create https://hooks.example.com/x --event deployment.created"),
    ),
    may("vercel deploy-hooks ls", succeeds("deploy-hooks ls")),
    may("vercel cache purge", succeeds("cache purge --yes")),
    may("vercel integration list", succeeds("integration list --all")),
    may("vercel activity ls", succeeds("activity ls --all")),
    may("vercel tokens ls", succeeds("tokens ls")),
    may("vercel edge-config / global-config ls", succeeds("global-config ls")),
    may("vercel flags ls", succeeds("flags ls")),
    may("vercel redirects ls", succeeds("redirects ls")),
    may("vercel routes ls", succeeds("routes ls")),
    may("vercel firewall overview", succeeds("firewall overview")),
    may("vercel blob list", succeeds("blob list")),
  ],
};

function succeeds(args: string) {
  return async ({ run, stand, cwd }: Scene): Promise<void> => {
    await stand.link(cwd, "fringe");
    const ran = await run(args);
    expect(ran.code, ran.stderr).toBe(0);
  };
}

// biome-ignore lint/suspicious/noExplicitAny: answers are read as the wire gives them
export async function json(stand: Scene["stand"], path: string): Promise<any> {
  return (await stand.platform.fetch(path)).json();
}

// biome-ignore lint/suspicious/noExplicitAny: answers are read as the wire gives them
export async function post(stand: Scene["stand"], path: string, body: unknown): Promise<any> {
  const init = {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  };
  return (await stand.platform.fetch(path, init)).json();
}
