import { rm } from "node:fs/promises";
import { join } from "node:path";
import {
  freePort,
  type Instance,
  isFree,
  type Ports,
  signalbox,
  startInstance,
} from "../../bench/support/instance.ts";
import type { Story } from "./story.ts";

const root = join(import.meta.dirname, "../..");
const DEFAULT_PORTS: Ports = { control: 4700, dock: 4701, gateway: 8080 };

/** Where the demo keeps everything; the part to put before `npx signalbox` to talk to it. */
export const STATE = ".signalbox/demo";
const dir = join(root, STATE);

/** Starts from nothing, so that the first deploy is a first one: what an earlier demo left is removed. */
export async function setTheStage(story: Story, options: { leaveRunning: boolean }): Promise<Instance> {
  await signalbox(["down"], { environment: { SIGNALBOX_DIR: dir } });
  await rm(dir, { recursive: true, force: true });
  const ports = await choosePorts(story);
  // The shop's repository and its database are on this machine, which a control plane reaches only when it is told to.
  Object.assign(process.env, {
    SIGNALBOX_ALLOW_LOCAL_REPOSITORIES: "1",
    SIGNALBOX_ALLOW_NETWORKS: "127.0.0.0/8,::1/128",
  });
  story.command("npx signalbox up");
  return startInstance({ dir, ports, forTheUser: options.leaveRunning });
}

async function choosePorts(story: Story): Promise<Ports> {
  const choose = async (name: keyof Ports): Promise<number> => {
    const wanted = DEFAULT_PORTS[name];
    if (await isFree(wanted)) return wanted;
    const port = await freePort();
    story.say(`Port ${wanted} (${name}) is taken by another program; this demo uses ${port}.`);
    return port;
  };
  return { control: await choose("control"), dock: await choose("dock"), gateway: await choose("gateway") };
}
