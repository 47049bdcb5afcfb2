import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";
import type { SourceFile } from "./tree.ts";

export type Environment = "preview" | "staging" | "production";

/** The part of the API's deployment that measuring needs. Times are ISO 8601. */
export type Deployment = {
  readonly id: string;
  readonly environment: Environment;
  readonly branch: string | null;
  readonly message: string | null;
  readonly state: string;
  readonly reason: string | null;
  readonly hint: string | null;
  readonly url: string | null;
  readonly urls: readonly string[];
  /** The dock's id, as the gateway's `x-signalbox-deployment` names it. */
  readonly targetDeploymentId: string | null;
  readonly weight: number;
  readonly reused: boolean;
  readonly createdAt: string;
  readonly finishedAt: string | null;
  readonly phases: readonly {
    readonly state: string;
    readonly at: string;
    readonly durationMs: number | null;
  }[];
};

export type LogLine = {
  readonly seq: number;
  readonly at: string;
  readonly stream: string;
  readonly text: string;
};

export type Rollback = {
  readonly deploymentId: string;
  readonly rolledBack: readonly string[];
  readonly durationMs: number;
};

export type TriggerRequest = {
  readonly environment: Environment;
  readonly project: string;
  readonly branch?: string;
  readonly commit?: string;
  readonly message?: string;
  readonly source: { readonly tree: string };
  readonly force?: boolean;
};

const TERMINAL = new Set(["live", "failed", "canceled", "rejected", "superseded", "rolled_back"]);

/** The control plane's HTTP API, as the CLI and any script use it. Throws with the server's own sentence. */
export type Api = ReturnType<typeof createApi>;

export function createApi({ url, token }: { url: string; token: string }) {
  const pool = new Pool(url, { connections: 8, headersTimeout: 30_000 });

  async function call<T>(method: "GET" | "POST", path: string, body?: unknown, key?: string): Promise<T> {
    const answer = await pool.request({
      method,
      path,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(key === undefined ? {} : { "idempotency-key": key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path} answered ${answer.statusCode}: ${text}`);
    return JSON.parse(text);
  }

  const status = (id: string, after = 0) =>
    call<{ deployment: Deployment; logs: LogLine[] }>("GET", `/api/deploy/status/${id}?after=${after}`);

  return {
    createProject: (name: string) => call("POST", "/api/projects", { name }),
    sendTree: (project: string, files: readonly SourceFile[]) =>
      sendTree({ pool, token, call }, project, files),
    /** The key defaults to a fresh one: every call is a new deployment. */
    trigger: (request: TriggerRequest, key: string = randomUUID()) =>
      call<{ deploymentId: string }>("POST", "/api/deploy/trigger", request, key),
    /** Without a target: to the previous good one. */
    rollback: (request: { environment: Environment; project: string; targetDeploymentId?: string }) =>
      call<Rollback>("POST", "/api/deploy/rollback", request, randomUUID()),
    status,
    list: async (query: string) =>
      (await call<{ deployments: Deployment[] }>("GET", `/api/deploy/list?${query}`)).deployments,
    /** Polls every `everyMs` until `done`; by default until the deployment has ended one way or another. */
    async waitFor(id: string, done = isTerminal, everyMs = 25): Promise<Deployment> {
      for (;;) {
        const { deployment } = await status(id, Number.MAX_SAFE_INTEGER);
        if (done(deployment)) return deployment;
        await sleep(everyMs);
      }
    },
    close: () => pool.close(),
  };
}

export const isTerminal = (deployment: Deployment): boolean => TERMINAL.has(deployment.state);

/** Throws, with the deployment's own reason, when it did not get as far as serving. */
export function assertLive(deployment: Deployment): Deployment {
  if (deployment.state === "live") return deployment;
  throw new Error(
    `Deployment ${deployment.id} ended ${deployment.state}: ${deployment.reason ?? "no reason given"}`,
  );
}

type Call = <T>(method: "POST", path: string, body: unknown) => Promise<T>;

/** Registers a tree and uploads what the server lacks. `bytesSent` counts the bodies of those files only. */
async function sendTree(
  { pool, token, call }: { pool: Pool; token: string; call: Call },
  project: string,
  files: readonly SourceFile[],
): Promise<{ tree: string; bytesSent: number; filesSent: number }> {
  const config = files.find((file) => file.path === "signalbox.yaml")?.body.toString();
  const manifest = {
    project,
    files: files.map(({ path, sha1, size, mode }) => ({ path, sha1, size, mode })),
    ...(config === undefined ? {} : { config }),
  };
  const { tree, missing } = await call<{ tree: string; missing: string[] }>(
    "POST",
    "/api/sources/trees",
    manifest,
  );
  const bodies = new Map(files.map((file) => [file.sha1, file.body]));
  const queue = [...missing];
  let bytesSent = 0;
  const sender = async () => {
    for (let sha1 = queue.pop(); sha1 !== undefined; sha1 = queue.pop()) {
      const body = bodies.get(sha1);
      if (!body) throw new Error(`The server asks for ${sha1}, which is not in the tree.`);
      const answer = await pool.request({
        method: "PUT",
        path: `/api/sources/files/${sha1}`,
        headers: { authorization: `Bearer ${token}`, "content-length": String(body.length) },
        body,
      });
      const text = await answer.body.text();
      if (answer.statusCode !== 204)
        throw new Error(`Upload of ${sha1} answered ${answer.statusCode}: ${text}`);
      bytesSent += body.length;
    }
  };
  await Promise.all(Array.from({ length: 8 }, sender));
  return { tree, bytesSent, filesSent: missing.length };
}
