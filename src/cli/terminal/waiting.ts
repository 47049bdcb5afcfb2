import { type Deployment, isSettled } from "../client/deployment.ts";
import type { Paint } from "./paint.ts";
import { harmless } from "./width.ts";

/** What a deployment waits for that does not come by itself, and what to type then. */
export type Waiting = {
  readonly what: string;
  readonly digest: string | null;
  readonly commands: readonly string[];
};

/** Null: it goes on by itself, be it after a timer. */
export function waitingFor(deployment: Deployment): Waiting | null {
  if (deployment.state === "awaiting_approval") return atGate(deployment);
  if (deployment.state === "shifting") return inRollout(deployment);
  return null;
}

/** What holds it up without being its fault: it goes on by itself. Null: nothing does. */
export function blockedText({ blocked, state }: Pick<Deployment, "blocked" | "state">): string | null {
  if (!blocked || isSettled({ state })) return null;
  const what =
    blocked.by === "rate_limit" ? "Blocked by a rate limit" : "Blocked: the target does not answer";
  const at = blocked.until.slice(11, 19);
  return `${what}, next try at ${at} UTC. ${harmless(blocked.reason)}`;
}

/** Lines for a reader: what it waits for, what an approval would be bound to, and the command to go on. */
export function waitingLines(deployment: Deployment, paint: Paint): string[] {
  const waiting = waitingFor(deployment);
  if (waiting === null) return [];
  return [
    `${paint.yellow("!")} ${harmless(waiting.what)}`,
    ...(waiting.digest === null ? [] : [paint.dim(`  digest ${waiting.digest}`)]),
    ...waiting.commands.map((command) => `  ${paint.cyan("→")} ${command}`),
  ];
}

function atGate({ id, reason, approvalDigest }: Deployment): Waiting | null {
  const why = reason ?? "Waits for approval.";
  // Its reason names all that holds it, so a timer alone is told from what people have to end.
  const held = why.replace(/for its wait timer until [^;.]*/, "");
  const asksPeople = /\bapprovals?\b/.test(held);
  if (!asksPeople && !/for the (lock|freeze)\b/.test(held)) return null;
  const digest = approvalDigest ?? null;
  const bound = digest === null ? "" : ` --digest ${digest}`;
  const commands = asksPeople
    ? [`signalbox approve ${id}${bound}`, `signalbox reject ${id} --comment '…'`]
    : ["signalbox locks", "signalbox freeze list"];
  return { what: why, digest: asksPeople ? digest : null, commands };
}

function inRollout({ id, rollout, weight }: Deployment): Waiting | null {
  if (!rollout) return null;
  const at = `${Math.round(weight ?? 0)} %`;
  const { paused } = rollout;
  if (paused) {
    const why = paused.reason === null || paused.reason === "" ? "" : `: ${paused.reason.replace(/\.$/, "")}`;
    return {
      what: `The rollout is paused at ${at} by ${paused.by}${why}.`,
      digest: null,
      commands: [`signalbox resume ${id}`, ...onward(id)],
    };
  }
  const stage = rollout.stages[rollout.index];
  if (!stage || stage.bakeMs !== null || (weight ?? 0) < stage.weight) return null;
  return { what: `The rollout stays at ${at} until a person goes on.`, digest: null, commands: onward(id) };
}

function onward(id: string): string[] {
  return [`signalbox advance ${id}   (or promote, abort)`];
}
