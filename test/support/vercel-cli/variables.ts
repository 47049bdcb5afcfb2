import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { json, post } from "./account.ts";
import { must, type Scene, type Story } from "./story.ts";

type Variable = {
  key: string;
  type: string;
  value: string;
  target: string[];
  gitBranch?: string;
  customEnvironmentIds: string[];
};

/** Variables: types, targets, branches and custom environments. */
export const variablesStory: Story = {
  name: "variables",
  cases: [
    must("vercel env add (secret by default)", async ({ run, stand, cwd }) => {
      await stand.link(cwd, "wardrobe");
      expect(await run("env add SECRET development --value hidden-value --yes --type config")).toMatchObject({
        code: 0,
      });
      expect(await run("env add TOKEN preview --value hidden-value --yes")).toMatchObject({ code: 0 });
      const token = await find(stand, "TOKEN");
      expect(token).toMatchObject({ type: "sensitive", value: "", target: ["preview"] });
    }),
    must("vercel env add --type config <branch>", async ({ run, stand }) => {
      const ran = await run("env add COLOUR preview feature --value red --type config --yes");
      expect(ran.code, ran.stderr).toBe(0);
      expect(await find(stand, "COLOUR")).toMatchObject({ value: "red", gitBranch: "feature" });
      expect((await run("env add COLOUR preview feature --value blue --type config --yes")).code).toBe(1);
    }),
    must("vercel env add <custom environment>", async ({ run, stand, kept }) => {
      const { id } = await post(stand, "/v9/projects/wardrobe/custom-environments", { slug: "staging" });
      kept.set("staging", id);
      expect(await run("env add SIZE staging --value XL --type config --yes")).toMatchObject({ code: 0 });
      expect(await find(stand, "SIZE")).toMatchObject({ target: [], customEnvironmentIds: [id] });
    }),
    must("vercel env ls", async ({ run }) => {
      const all = await run("env ls");
      expect(all.code).toBe(0);
      expect(all.stderr + all.stdout).toMatch(/COLOUR[\s\S]*Preview \(feature\)/);
      expect(all.stderr + all.stdout).not.toContain("hidden-value-of-TOKEN");
      const staging = await run("env ls staging");
      expect(staging.stderr + staging.stdout).toContain("SIZE");
      expect(staging.stderr + staging.stdout).not.toContain("COLOUR");
    }),
    must("vercel env pull", async ({ run, stand }) => {
      // Sensitive elsewhere: that says nothing of the value for development.
      const elsewhere = { key: "SECRET", value: "of production", type: "sensitive", target: ["production"] };
      await post(stand, "/v10/projects/wardrobe/env", elsewhere);
      const cwd = await stand.directory("wardrobe-pull");
      await stand.link(cwd, "wardrobe");
      expect(await run("env pull .env.dev --yes", { cwd })).toMatchObject({ code: 0 });
      expect(await readFile(join(cwd, ".env.dev"), "utf8")).toContain('SECRET="hidden-value"');
      expect(
        await run("env pull .env.preview --environment=preview --git-branch=feature --yes", { cwd }),
      ).toMatchObject({ code: 0 });
      const preview = await readFile(join(cwd, ".env.preview"), "utf8");
      expect(preview).toContain('COLOUR="red"');
      expect(preview).toMatch(/TOKEN="(\[SENSITIVE\])?"/);
      expect(preview).not.toContain("hidden-value");
      await run("env pull .env.staging --environment=staging --yes", { cwd });
      expect(await readFile(join(cwd, ".env.staging"), "utf8")).toContain('SIZE="XL"');
    }),
    must("vercel env update", async ({ run, stand }) => {
      expect(await run("env update COLOUR preview feature --value green --yes")).toMatchObject({ code: 0 });
      expect(await find(stand, "COLOUR")).toMatchObject({ value: "green", gitBranch: "feature" });
    }),
    must("vercel env rm", async ({ run, stand }) => {
      expect(await run("env rm COLOUR preview feature --yes")).toMatchObject({ code: 0 });
      expect(await find(stand, "COLOUR")).toBeUndefined();
      expect(await find(stand, "TOKEN")).toBeDefined();
    }),
    must("vercel pull", async ({ run, stand }) => {
      const cwd = await stand.directory("wardrobe-settings");
      await stand.link(cwd, "wardrobe");
      expect(await run("pull --yes", { cwd })).toMatchObject({ code: 0 });
      const settings = JSON.parse(await readFile(join(cwd, ".vercel/project.json"), "utf8"));
      expect(settings).toMatchObject({ projectName: "wardrobe", settings: { nodeVersion: "24.x" } });
      expect(await readFile(join(cwd, ".vercel/.env.development.local"), "utf8")).toContain("SECRET=");
    }),
  ],
};

async function find(stand: Scene["stand"], key: string): Promise<Variable | undefined> {
  const { envs } = await json(stand, "/v10/projects/wardrobe/env");
  return envs.find((one: Variable) => one.key === key);
}
