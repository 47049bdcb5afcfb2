import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { freePort } from "../../bench/support/instance.ts";
import { getThroughGateway } from "../../bench/support/through-gateway.ts";

const run = promisify(execFile);

test("packed and installed in an empty folder, up and deploy work", { timeout: 300_000 }, async () => {
  const home = await mkdtemp(join(tmpdir(), "signalbox-package-"));
  const folder = join(home, "empty");
  await mkdir(folder);
  // npm runs us with settings of its own in the environment; an ordinary shell has none of them.
  const own = Object.entries(process.env).filter(([name]) => !/^npm_(package|lifecycle|execpath)/.test(name));
  const env = {
    ...Object.fromEntries(own),
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    XDG_CONFIG_HOME: join(home, "config"),
    XDG_CACHE_HOME: join(home, "cache"),
    SIGNALBOX_PORT: String(await freePort()),
    SIGNALBOX_DOCK_PORT: String(await freePort()),
    SIGNALBOX_GATEWAY_PORT: String(await freePort()),
  };
  const packed = await run("npm", ["pack", "--pack-destination", home, "--json"], { cwd: resolve("."), env });
  const json = packed.stdout.slice(packed.stdout.indexOf("["));
  const [{ filename }] = JSON.parse(json) as [{ filename: string }];
  await writeFile(join(folder, "package.json"), '{ "name": "empty", "private": true }');
  await run("npm", ["install", "--no-audit", "--no-fund", join(home, filename)], { cwd: folder, env });
  const signalbox = (...args: string[]) =>
    run("npx", ["--no-install", "signalbox", ...args], { cwd: folder, env });
  const app = `import { createHealth } from "signalbox/health";
    const health = createHealth({ checks: { database: { check: () => {} } } });
    await health.checked();
    const answer = health.fetch(new Request("http://app/api/health"));
    console.log(answer.status, (await answer.json()).status);`;
  const imported = await run(process.execPath, ["--input-type=module", "-e", app], { cwd: folder, env });
  expect(imported.stdout.trim()).toBe("200 healthy");
  try {
    await signalbox("up");
    const site = join(home, "site");
    await mkdir(site);
    await writeFile(join(site, "index.html"), "from the package");
    const { stdout } = await signalbox("deploy", site, "--env", "production", "--json");
    const printed = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
    const deployment = printed.deployment ?? printed;
    expect(deployment.state).toBe("live");
    expect((await getThroughGateway(deployment.urls[0], "/")).body).toBe("from the package");
  } finally {
    await signalbox("down");
    await rm(home, { recursive: true, force: true });
  }
});
