import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readConfig } from "./config.ts";
import { dockAddress, vercelAddress } from "./process-options.ts";

const secrets = { dockToken: "the-dock's", cookieSecret: "c" } as unknown as Parameters<
  typeof vercelAddress
>[1];

test("the bypass secret of the environment reaches the target at Vercel, and not our own dock", () => {
  const env = { SIGNALBOX_VERCEL_TOKEN: "a-token", SIGNALBOX_VERCEL_BYPASS: "a-bypass-secret" };
  const config = readConfig(env, "/");
  expect(vercelAddress(config, secrets)).toMatchObject({ token: "a-token", bypass: "a-bypass-secret" });
  expect(dockAddress(config, secrets)).toMatchObject({ token: "the-dock's", bypass: null });
});

test("docs/cli.md tells of every variable that is read", () => {
  const source = readFileSync("src/config.ts", "utf8");
  const names = [...source.matchAll(/^ {2}([A-Z][A-Z_]+): z\b/gm)].map(([, name = ""]) => name);
  expect(names.length).toBeGreaterThan(20);
  const page = readFileSync("docs/cli.md", "utf8");
  expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

test("a network that is none is told at the start, and not by every check", () => {
  const read = (text: string) => readConfig({ SIGNALBOX_ALLOW_NETWORKS: text }, "/").allowNetworks;
  expect(read("10.0.0.0/8, fd00::/8")).toEqual(["10.0.0.0/8", "fd00::/8"]);
  expect(() => read("10.0.0.0/8,10.1")).toThrow(/SIGNALBOX_ALLOW_NETWORKS: "10.1" is no network/);
});
