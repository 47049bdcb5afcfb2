import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { type CutProxy, startCutProxy } from "../cut-proxy.ts";
import { homeOf } from "./homes.ts";
import { HERE, type Place } from "./service.ts";

/**
 * A line to a service that can be cut so that packets vanish: nothing is refused, nothing is closed. As root the
 * service lives in a network namespace of its own; for others a relay in between falls silent.
 */
export type Line = {
  /** Give it to the service's starter. */
  readonly place: Place;
  /** Where it is reached from here. */
  reach(port: number): Promise<{ host: string; port: number }>;
  cut(): void;
  heal(): void;
  close(): Promise<void>;
};

export async function layLine(): Promise<Line> {
  return (process.getuid?.() === 0 ? await namespaceLine() : null) ?? relayLine();
}

/** Null where this root may not make namespaces, as in most containers. */
async function namespaceLine(): Promise<Line | null> {
  const home = homeOf("iproute2");
  if (home === null) return null;
  // Whoever is in the namespace keeps it; when they have ended, the kernel removes it with its end of the line.
  const holder = spawn("setpriv", ["--pdeathsig", "KILL", "--", "unshare", "--net", "sleep", "infinity"], {
    stdio: "ignore",
  });
  holder.on("error", () => {});
  const enter = [`nsenter`, `--net=/proc/${holder.pid}/ns/net`];
  const ip = (...args: string[]) => succeeds(home.program, args, home.env);
  const inside = (...args: string[]) =>
    succeeds("nsenter", [...enter.slice(1), home.program, ...args], home.env);
  const name = `sb${randomInt(0xffffff).toString(16)}`;
  const [second, third, fourth] = [randomInt(64, 127), randomInt(256), randomInt(64) * 4];
  const net = `10.${second}.${third}.`;
  const [near, far] = [`${net}${fourth + 1}`, `${net}${fourth + 2}`];
  // A neighbour that is never looked for: else the kernel soon says "no route to host", which no partition does.
  const mac = "02:5b:00:00:00:02";
  const laid =
    (await hasOwnNetwork(holder)) &&
    ip(
      "link",
      "add",
      name,
      "type",
      "veth",
      "peer",
      "name",
      "line",
      "address",
      mac,
      "netns",
      String(holder.pid),
    ) &&
    ip("addr", "add", `${near}/30`, "dev", name) &&
    ip("link", "set", name, "up") &&
    ip("neigh", "replace", far, "lladdr", mac, "dev", name, "nud", "permanent") &&
    inside("addr", "add", `${far}/30`, "dev", "line") &&
    inside("link", "set", "line", "up") &&
    inside("link", "set", "lo", "up");
  const close = async () => {
    ip("link", "del", name);
    if (holder.exitCode !== null || holder.signalCode !== null) return;
    holder.kill("SIGKILL");
    await once(holder, "exit");
  };
  if (!laid) return close().then(() => null);
  return {
    place: { host: far, enter },
    reach: async (port) => ({ host: far, port }),
    cut: () => void must(inside("link", "set", "line", "down")),
    heal: () => void must(inside("link", "set", "line", "up")),
    close,
  };
}

function succeeds(program: string, args: readonly string[], env: Readonly<Record<string, string>>): boolean {
  return spawnSync(program, args, { stdio: "ignore", env: { ...process.env, ...env } }).status === 0;
}

function must(done: boolean): void {
  if (!done) throw new Error("The line could not be switched: the namespace is gone.");
}

/** Waits until `unshare` has left our network. */
async function hasOwnNetwork(holder: ChildProcess): Promise<boolean> {
  const networkOf = (pid: number | string) => readlinkSync(`/proc/${pid}/ns/net`);
  for (let tries = 0; tries < 400 && holder.exitCode === null; tries++) {
    try {
      if (networkOf(holder.pid ?? 0) !== networkOf("self")) return true;
    } catch {
      return false;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return false;
}

function relayLine(): Line {
  const relays: CutProxy[] = [];
  return {
    place: HERE,
    async reach(port) {
      const relay = await startCutProxy({ host: "127.0.0.1", port });
      relays.push(relay);
      return { host: "127.0.0.1", port: relay.port };
    },
    cut() {
      for (const relay of relays) relay.silence();
    },
    heal() {
      for (const relay of relays) relay.heal();
    },
    close: async () => void (await Promise.all(relays.map((relay) => relay.close()))),
  };
}
