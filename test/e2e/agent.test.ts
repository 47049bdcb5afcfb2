import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { startTestInstance, type TestInstance } from "../support/instance.ts";

let at: TestInstance;
beforeAll(async () => {
  at = await startTestInstance();
});
afterAll(() => at?.remove());

// biome-ignore lint/suspicious/noExplicitAny: the tests assert on the parts that they name
async function json(path: string, body?: unknown): Promise<any> {
  const answer = await at.call(
    path,
    body === undefined ? {} : { method: "POST", body: JSON.stringify(body) },
  );
  return answer.json();
}

/** `signalbox start prober` of another machine: nothing of this installation but its address and a token. */
async function startAgent(token: string, url = at.url) {
  const dir = await mkdtemp(join(tmpdir(), "signalbox-agent-"));
  const child = spawn(process.execPath, [resolve("src/main.ts"), "start", "prober"], {
    env: {
      PATH: process.env.PATH,
      SIGNALBOX_DIR: dir,
      SIGNALBOX_URL: url,
      SIGNALBOX_PROBER_TOKEN: token,
      SIGNALBOX_ALLOW_NETWORKS: "127.0.0.0/8",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (output += chunk));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    await rm(dir, { recursive: true, force: true });
  };
  onTestFinished(stop);
  return { child, stop, output: () => output };
}

test("an agent asks from its own place, and its word counts; a wrong token is told at once", async () => {
  const listener = net.createServer((socket) => socket.end()).listen(0, "127.0.0.1");
  onTestFinished(() => void listener.close());
  await once(listener, "listening");
  const { port } = listener.address() as net.AddressInfo;
  await json("/api/projects", { name: "far" });
  const { token } = await json("/api/probers", { location: "fra" });
  const { check } = await json("/api/checks", {
    project: "far",
    environment: "production",
    name: "door",
    type: "tcp",
    settings: { host: "127.0.0.1", port },
    locations: ["fra"],
    intervalMs: 200,
    timeoutMs: 200,
    failures: 2,
  });
  expect(check).toMatchObject({ id: expect.any(String), state: "unknown" });

  const wrong = await startAgent("sbp_wrong");
  const [code] = await once(wrong.child, "exit");
  expect(code).toBe(1);
  expect(wrong.output()).toContain("SIGNALBOX_PROBER_TOKEN");

  const agent = await startAgent(token);
  const state = async () => (await json(`/api/checks/${check.id}`)).check?.state;
  await expect.poll(state, { timeout: 30_000, interval: 100 }).toBe("up");
  const { probers } = await json("/api/probers");
  expect(probers).toContainEqual(expect.objectContaining({ location: "fra", kind: "agent", isSeen: true }));
  listener.close();
  await expect.poll(state, { timeout: 30_000, interval: 100 }).toBe("down");
  // Silence is not health, and not an outage either: without an agent nobody knows.
  await agent.stop();
  await expect.poll(state, { timeout: 30_000, interval: 100 }).toBe("unknown");
});
