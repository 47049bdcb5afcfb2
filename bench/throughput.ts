import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { Pool } from "undici";
import { readState } from "../src/supervisor/state.ts";
import type { Api, Deployment } from "./support/api.ts";
import { databaseOf } from "./support/database-of.ts";
import { type Instance, withInstance } from "./support/instance.ts";
import { machineMs } from "./support/machine-clock.ts";
import { readStat } from "./support/proc.ts";
import type { BenchResult } from "./support/result.ts";
import { quantile, round, summary } from "./support/statistics.ts";
import { sourceFile } from "./support/tree.ts";

const PROJECTS = 50;
const PER_PROJECT = 4;
const DEPLOYMENTS = PROJECTS * PER_PROJECT;
const TARGET_S = 60;
const API_TARGET_MS = 100;
const SAMPLES_PER_S = 20;

/** What the API was asked while the deployments ran, latencies in ms by route. */
type Sampled = Record<"status" | "list" | "trigger", number[]>;

/**
 * 200 deployments over 50 projects, triggered at once as previews of four branches each (deployments of one branch
 * supersede one another, and 200 must end live). Every tree is new and has a build whose command is `true`. Two
 * builders. Meanwhile somebody asks the API 20 times a second; its triggers come on top of the 200.
 */
export async function run(): Promise<BenchResult> {
  process.env.SIGNALBOX_BUILD_CONCURRENCY = "2";
  return withInstance(async (instance) => {
    const { api } = instance;
    const names = Array.from({ length: PROJECTS }, (_, index) => `queue-${index}`);
    const work = await announce(api, names);
    const extra = await sendTree(api, "queue-0", "extra");
    const startedAt = machineMs();
    const cpuBefore = await cpuOf(instance);
    const [head, ...rest] = work;
    const first = await trigger(api, head);
    const sampling = new AbortController();
    const sampled = sample(instance, { id: first, tree: extra }, sampling.signal);
    const ids = [first, ...(await Promise.all(rest.map((each) => trigger(api, each))))];
    const triggeredMs = machineMs() - startedAt;
    await allSettled(instance, ids);
    const ended = await Promise.all(ids.map((id) => api.waitFor(id)));
    const lastEnd = Math.max(...ended.map(({ finishedAt }) => Date.parse(finishedAt ?? "")));
    const durationS = (lastEnd - Math.min(...ended.map(({ createdAt }) => Date.parse(createdAt)))) / 1_000;
    sampling.abort();
    const cpuAfter = await cpuOf(instance);
    const cpuMs = { control: cpuAfter.control - cpuBefore.control, dock: cpuAfter.dock - cpuBefore.dock };
    return judge(ended, durationS, await sampled, { triggeredMs: round(triggeredMs), cpuMs });
  });
}

/** CPU time so far, in ms: unlike times by the clock it says the same on a machine that others use too. */
async function cpuOf({ dir }: Instance): Promise<{ control: number; dock: number }> {
  const state = await readState(dir);
  const of = (name: string) => readStat(state?.processes[name]?.pid ?? 0).cpuUs / 1_000;
  return { control: of("control"), dock: of("dock") };
}

type Work = { readonly project: string; readonly branch: string; readonly tree: string };

async function trigger(api: Api, work: Work | undefined): Promise<string> {
  if (!work) throw new Error("There is nothing to trigger.");
  const { project, branch, tree } = work;
  const request = { environment: "preview", project, branch, source: { tree }, force: true } as const;
  return (await api.trigger(request)).deploymentId;
}

/** Looked up in the database: 200 clients that ask the API would be a load of their own. */
async function allSettled({ dir }: Instance, ids: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: await databaseOf(dir) });
  await client.connect();
  const settled = ["live", "failed", "canceled", "rejected", "superseded", "rolled_back"];
  const left = "select count(*)::int as left from deployments where id = any($1) and state <> all($2)";
  while ((await client.query(left, [ids, settled])).rows[0].left > 0) await sleep(200);
  await client.end();
}

async function announce(api: Api, names: readonly string[]) {
  const all = names.map(async (project) => {
    await api.createProject(project);
    const branches = Array.from({ length: PER_PROJECT }, (_, index) => `branch-${index}`);
    return Promise.all(
      branches.map(async (branch) => ({
        project,
        branch,
        tree: await sendTree(api, project, branch),
      })),
    );
  });
  return (await Promise.all(all)).flat();
}

async function sendTree(api: Api, project: string, text: string): Promise<string> {
  const config = `name: ${project}\nbuild: { command: "true", output: public }\n`;
  const page = sourceFile("public/index.html", `<!doctype html><title>${project} ${text}</title>`);
  return (await api.sendTree(project, [sourceFile("signalbox.yaml", config), page])).tree;
}

/** One request after another's start, 20 a second in turns: a slow answer does not make the next one wait. */
async function sample(
  { url, token }: Instance,
  about: { id: string; tree: string },
  signal: AbortSignal,
): Promise<Sampled> {
  const pool = new Pool(url, { connections: 16 });
  const sampled: Sampled = { status: [], list: [], trigger: [] };
  const headers = { authorization: `Bearer ${token}` };
  const timed = async (route: keyof Sampled, call: () => ReturnType<Pool["request"]>) => {
    const askedAt = machineMs();
    const answer = await call();
    await answer.body.dump();
    if (answer.statusCode >= 300) throw new Error(`${route} answered ${answer.statusCode}.`);
    sampled[route].push(machineMs() - askedAt);
  };
  const routes = [
    () =>
      timed("status", () =>
        pool.request({ method: "GET", path: `/api/deploy/status/${about.id}?after=0`, headers }),
      ),
    () => timed("list", () => pool.request({ method: "GET", path: "/api/deploy/list?limit=50", headers })),
    () =>
      timed("trigger", () =>
        pool.request({
          method: "POST",
          path: "/api/deploy/trigger",
          headers: { ...headers, "content-type": "application/json" },
          // Each supersedes the one before it while that is queued.
          body: JSON.stringify({
            environment: "staging",
            project: "queue-0",
            source: { tree: about.tree },
          }),
        }),
      ),
  ];
  const pending: Promise<void>[] = [];
  for (let index = 0; !signal.aborted; index++) {
    const next = routes[index % routes.length];
    if (next) pending.push(next());
    await sleep(1_000 / SAMPLES_PER_S);
  }
  await Promise.all(pending);
  await pool.close();
  return sampled;
}

function judge(
  ended: readonly Deployment[],
  durationS: number,
  sampled: Sampled,
  more: { triggeredMs: number; cpuMs: Record<string, number> },
): BenchResult {
  const live = ended.filter(({ phases }) => phases.some(({ state }) => state === "live"));
  const all = Object.values(sampled).flat();
  const p99 = round(quantile(all, 0.99));
  return {
    name: "throughput",
    unit: `s for ${DEPLOYMENTS} deployments`,
    ours: round(durationS),
    peers: {},
    ratios: {},
    target: `≤ ${TARGET_S} s with 2 builders, and the API's p99 meanwhile ≤ ${API_TARGET_MS} ms`,
    pass: live.length === DEPLOYMENTS && durationS <= TARGET_S && p99 <= API_TARGET_MS,
    deploymentsPerSecond: round(DEPLOYMENTS / durationS),
    live: live.length,
    notLive: ended.filter((each) => !live.includes(each)).slice(0, 5),
    apiP99: p99,
    api: Object.fromEntries(Object.entries(sampled).map(([route, times]) => [route, summary(times)])),
    apiRequests: all.length,
    triggeredMs: more.triggeredMs,
    cpuMsPerDeployment: Object.fromEntries(
      Object.entries(more.cpuMs).map(([name, ms]) => [name, round(ms / DEPLOYMENTS)]),
    ),
    /** Where a deployment's time goes, waiting for a builder included. */
    phases: phaseTimes(ended),
  };
}

function phaseTimes(ended: readonly Deployment[]): Record<string, ReturnType<typeof summary>> {
  const phases = ended.flatMap((deployment) => deployment.phases);
  const byState = Map.groupBy(phases, ({ state }) => state);
  const entries = [...byState].map(([state, own]) => {
    const times = own.flatMap(({ durationMs }) => durationMs ?? []);
    return [state, summary(times)] as const;
  });
  return Object.fromEntries(entries.filter(([, { p50 }]) => Number.isFinite(p50)));
}
