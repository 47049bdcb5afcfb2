import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { lives, type ProcessName } from "../../src/supervisor/lock.ts";
import { readState } from "../../src/supervisor/state.ts";
import type { Kill, Victim } from "./chaos-judge.ts";
import type { Random } from "./chaos-random.ts";
import { visitOnce } from "./chaos-visitors.ts";
import type { Instance } from "./instance.ts";

const BACK_WITHIN_MS = 60_000;

type Target = { readonly process: ProcessName; readonly release: string | null };

/** SIGKILLs one process of the instance, by its pid, and resolves once it is back. Null: there was none to kill. */
export async function killOne(instance: Instance, victim: Victim, random: Random): Promise<Kill | null> {
  const found = await targetsOf(instance, victim);
  if (found.length === 0) return null;
  const { process: name, release } = random.pick(found);
  const workers = (await targetsOf(instance, "worker")).length;
  const at = Date.now();
  process.kill(name.pid, "SIGKILL");
  await until(`${victim} ${name.pid} is back`, async () => {
    if (lives(name)) return false;
    if (victim === "app") return appIsBack(instance, release ?? "", name);
    if (victim === "worker")
      return (await targetsOf(instance, "worker")).length >= workers && gatewayAnswers(instance);
    return (await targetsOf(instance, victim)).length > 0 && isWhole(instance);
  });
  return { victim, pid: name.pid, at, backAt: Date.now(), release };
}

/** True when everything answers: the API with its database, the dock, the gateway and its workers. */
export async function isWhole(instance: Instance): Promise<boolean> {
  const answers = await Promise.all([
    answersWith(`${instance.url}/api/deploy/list?limit=1`, instance.token, (status) => status === 200),
    answersWith(`${instance.dockUrl}/v2/user`, "nobody", () => true),
    gatewayAnswers(instance),
    targetsOf(instance, "worker").then((workers) => workers.length >= 2),
  ]);
  return answers.every(Boolean);
}

export async function until(
  what: string,
  condition: () => Promise<boolean>,
  withinMs = BACK_WITHIN_MS,
): Promise<void> {
  const giveUpAt = performance.now() + withinMs;
  while (!(await condition().catch(() => false))) {
    if (performance.now() > giveUpAt) throw new Error(`Not within ${withinMs} ms: ${what}.`);
    await sleep(20);
  }
}

/** Living processes of this kind. Only such as this very instance started. */
async function targetsOf(instance: Instance, victim: Victim): Promise<Target[]> {
  if (victim === "app") return apps(instance);
  const state = await readState(instance.dir);
  const name = state?.processes[victim === "worker" ? "gateway" : victim];
  if (!name || !lives(name)) return [];
  return victim === "worker" ? workersOf(name.pid) : [{ process: name, release: null }];
}

async function workersOf(primary: number): Promise<Target[]> {
  const text = await readFile(`/proc/${primary}/task/${primary}/children`, "utf8").catch(() => "");
  const pids = text.trim().split(" ").filter(Boolean).map(Number);
  const names = await Promise.all(pids.map(processOf));
  return names
    .filter((name) => name !== null && lives(name))
    .map((process) => ({ process, release: null }) as Target);
}

async function processOf(pid: number): Promise<ProcessName | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  // Field 22 of proc(5), counted after the name in parentheses.
  return stat === null
    ? null
    : { pid, startTime: stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null };
}

async function apps(instance: Instance): Promise<Target[]> {
  const folders = join(instance.dir, "dock/run/apps");
  const names = await readdir(folders).catch(() => []);
  const found = await Promise.all(names.map((name) => recordOf(join(folders, name))));
  return found.filter((target) => target !== null && lives(target.process)) as Target[];
}

async function recordOf(folder: string): Promise<Target | null> {
  const text = await readFile(join(folder, "state.json"), "utf8").catch(() => null);
  if (text === null) return null;
  const { pid, startTime, deploymentId } = JSON.parse(text);
  return { process: { pid, startTime }, release: deploymentId };
}

/** Back, or let go by the dock meanwhile: then nobody is sent there any more. */
async function appIsBack(instance: Instance, release: string, before: ProcessName): Promise<boolean> {
  const folder = join(instance.dir, "dock/run/apps", release);
  const record = await recordOf(folder);
  return record === null || (record.process.pid !== before.pid && lives(record.process));
}

async function answersWith(
  url: string,
  token: string,
  isGood: (status: number) => boolean,
): Promise<boolean> {
  const headers = { authorization: `Bearer ${token}`, connection: "close" };
  const answer = await fetch(url, { headers, signal: AbortSignal.timeout(5_000) });
  await answer.arrayBuffer();
  return isGood(answer.status);
}

async function gatewayAnswers({ gatewayPort }: Instance): Promise<boolean> {
  return (await visitOnce(gatewayPort, "nobody-lives-here")).status > 0;
}
