import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../src/foundation/errors.ts";
import { type Deployment, isTerminal } from "./api.ts";
import type { Random } from "./chaos-random.ts";
import { visitOnce } from "./chaos-visitors.ts";
import type { Instance } from "./instance.ts";
import { type SourceFile, sourceFile } from "./tree.ts";

/** One project that is deployed again and again, each time in a new version. */
export type Line = {
  readonly project: string;
  readonly kind: "static" | "server";
  readonly strategy: "instant" | "canary";
};

export const LINES: readonly Line[] = [
  { project: "static-instant", kind: "static", strategy: "instant" },
  { project: "server-canary", kind: "server", strategy: "canary" },
  { project: "static-canary", kind: "static", strategy: "canary" },
  { project: "server-instant", kind: "server", strategy: "instant" },
];

/** What was promised to a client of the API, and what became of it. */
export type Story = {
  readonly line: Line;
  readonly version: string;
  readonly id: string;
  /** The first settled state that was seen; null: none in time. */
  ended: Deployment | null;
};

export type LineRecord = {
  readonly stories: Story[];
  /** Sentences about traffic that is not what the row says. */
  readonly wrongTraffic: string[];
  /** Acknowledged ones only. */
  rollbacks: number;
  rollbacksRefused: number;
};

/** Where a run takes place. */
export type Place = Instance & {
  /** Longest wait for one deployment to settle, process deaths included; one that takes longer is stuck. */
  readonly settleWithinMs: number;
};

const RETRY_MS = 50;

/** Deploys `versions` one after another; in between a rollback, now and then in the middle of a deployment. */
export async function workLine(
  place: Place,
  line: Line,
  versions: readonly string[],
  record: LineRecord,
  random: Random,
): Promise<void> {
  for (const version of versions) {
    const story = await announce(place, line, version);
    record.stories.push(story);
    const interrupts = random.next() < 0.2;
    if (interrupts) {
      await untilState(place, story.id, (deployment) => deployment.state !== "queued");
      await rollBack(place, line, record);
    }
    story.ended = await untilState(place, story.id, isTerminal);
    if (story.ended === null) return;
    await compareTraffic(place, line, record);
    if (!interrupts && random.next() < 0.3) {
      await rollBack(place, line, record);
      await compareTraffic(place, line, record);
    }
  }
}

/** Sends a version and triggers it; like any client it repeats what got no answer, under the same key. */
export async function announce(place: Place, line: Line, version: string): Promise<Story> {
  const key = randomUUID();
  const { api } = place;
  const { tree } = await untilDone(place, () => api.sendTree(line.project, filesOf(line, version)));
  const { project } = line;
  const request = { environment: "production", project, message: version, source: { tree } } as const;
  const { deploymentId } = await untilDone(place, () => api.trigger(request, key));
  return { line, version, id: deploymentId, ended: null };
}

function filesOf({ project, kind, strategy }: Line, version: string): SourceFile[] {
  const canary = "{ canary: { steps: [{ weight: 50, bake: 500ms }], max_error_rate: 0.2, min_requests: 0 } }";
  const config = `name: ${project}
health: { interval: 50ms, timeout: 2s, min_healthy_time: 100ms, deadline: 30s }
environments: { production: { strategy: ${strategy === "canary" ? canary : "instant"} } }
`;
  const yaml = sourceFile("signalbox.yaml", config);
  if (kind === "static") return [yaml, sourceFile("index.html", version)];
  const server = `import http from "node:http";
http.createServer((_, answer) => answer.end("${version}")).listen(process.env.PORT ?? 3000);
`;
  const json = { name: project, version: "1.0.0", type: "module", scripts: { start: "node server.js" } };
  return [yaml, sourceFile("package.json", JSON.stringify(json)), sourceFile("server.js", server)];
}

/** The deployment once `done`; null when that takes too long. An API that is away meanwhile is asked again. */
export async function untilState(
  { api, url, token, settleWithinMs }: Place,
  id: string,
  done: (deployment: Deployment) => boolean,
): Promise<Deployment | null> {
  const giveUpAt = performance.now() + settleWithinMs;
  while (performance.now() < giveUpAt) {
    const found = await api.status(id, Number.MAX_SAFE_INTEGER).catch(() => null);
    if (found && done(found.deployment)) return found.deployment;
    // With the gateway dead nobody can judge a canary, so it waits for a person: here they say go on.
    if (found && isPaused(found.deployment)) await promote(url, token, id);
    await sleep(RETRY_MS);
  }
  return null;
}

function isPaused(deployment: Deployment & { rollout?: { paused: object | null } | null }): boolean {
  return Boolean(deployment.rollout?.paused);
}

async function promote(url: string, token: string, id: string): Promise<void> {
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    connection: "close",
  };
  const init = { method: "POST", headers, body: "{}" };
  await fetch(`${url}/api/deploy/promote/${id}`, init).catch(() => null);
}

async function untilDone<T>({ settleWithinMs }: Place, call: () => Promise<T>): Promise<T> {
  const giveUpAt = performance.now() + settleWithinMs;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (performance.now() > giveUpAt || /answered 4(?!09)/.test(messageOf(error))) throw error;
      await sleep(RETRY_MS);
    }
  }
}

/** To the previous good one, repeated under its key until the API says yes or no. */
async function rollBack(
  { url, token, settleWithinMs }: Place,
  line: Line,
  record: LineRecord,
): Promise<void> {
  const key = randomUUID();
  const giveUpAt = performance.now() + settleWithinMs;
  while (performance.now() < giveUpAt) {
    const answer = await fetch(`${url}/api/deploy/rollback`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "idempotency-key": key,
        connection: "close",
      },
      body: JSON.stringify({ environment: "production", project: line.project }),
    }).catch(() => null);
    const body = (await answer?.json().catch(() => null)) as { error?: { code: string } } | null;
    if (answer?.status === 200 && body) {
      record.rollbacks += 1;
      return;
    }
    if (answer?.status === 409 && body?.error?.code === "conflict") {
      record.rollbacksRefused += 1;
      return;
    }
    await sleep(RETRY_MS);
  }
  throw new Error(`No answer to a rollback of ${line.project} within ${settleWithinMs} ms.`);
}

/** With nothing under way in the line: the first answer that a stranger gets must be of the one row that is live. */
export async function compareTraffic(place: Place, line: Line, record: LineRecord): Promise<void> {
  const { project } = line;
  const live = await untilDone(place, () => place.api.list(`project=${project}&state=live`));
  if (live.length !== 1) record.wrongTraffic.push(`${project} has ${live.length} live deployments`);
  const giveUpAt = performance.now() + place.settleWithinMs;
  while (performance.now() < giveUpAt) {
    const answer = await visitOnce(place.gatewayPort, project);
    if (answer.status === 200) {
      const expected = live[0]?.message;
      if (answer.body !== expected) {
        record.wrongTraffic.push(`${project} answers "${answer.body}" while "${expected}" is live`);
      }
      return;
    }
    await sleep(RETRY_MS);
  }
  record.wrongTraffic.push(`${project} did not answer 200 within ${place.settleWithinMs} ms`);
}
