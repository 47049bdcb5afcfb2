import { actorName, type Deployment, isFailed, publicUrl } from "../client/deployment.ts";
import type { Paint } from "./paint.ts";
import { phaseLines } from "./phases.ts";
import { phaseText } from "./progress.ts";
import { formatAge } from "./quantity.ts";
import { serviceLines, verdictText } from "./rollout-view.ts";
import { blockedText, waitingLines } from "./waiting.ts";
import { cutToWidth, harmless } from "./width.ts";

/** A deployment's state in the colour of its meaning. */
export function stateText(state: string, paint: Paint): string {
  if (state === "live") return paint.green(state);
  if (isFailed(state)) return paint.red(state);
  if (state === "superseded") return paint.dim(state);
  return paint.yellow(state);
}

/** `3f9c2ab*`: the star marks files that differed from the commit. */
export function commitText(deployment: Pick<Deployment, "commit" | "dirty">): string {
  const commit = deployment.commit === null ? "-" : deployment.commit.slice(0, 7);
  return deployment.dirty ? `${commit}*` : commit;
}

/** Everything about one deployment, for reading. */
export function deploymentLines(deployment: Deployment, now: Date, paint: Paint): string[] {
  const fields: [name: string, value: string | null][] = [
    ["deployment", paint.bold(deployment.id)],
    ["project", deployment.project],
    ["environment", deployment.environment],
    ["state", stateText(deployment.state, paint) + weight(deployment)],
    ["url", publicUrl(deployment)],
    ["commit", sourceText(deployment)],
    ["started", `${formatAge(deployment.createdAt, now)} ago${by(deployment)}`],
    ["reason", deployment.reason === null ? null : harmless(deployment.reason)],
    ["rollback of", deployment.rollbackOf],
    ["blocked", blockedText(deployment)],
    ["problem", deployment.problem ? harmless(deployment.problem) : null],
  ];
  const lines = fields.flatMap(([name, value]) =>
    value === null ? [] : [`${paint.dim(name.padEnd(12))} ${value}`],
  );
  if (deployment.hint !== null) lines.push(`${paint.cyan("→")} ${harmless(deployment.hint)}`);
  const others = [deployment.url, ...deployment.urls].filter((url) => url && url !== publicUrl(deployment));
  if (others.length > 0) lines.push(`${paint.dim("also at".padEnd(12))} ${others.join("  ")}`);
  const phases = phaseLines(deployment).map(
    (line) => `  ${phaseText(paint, line.outcome, line.label, line.durationMs)}`,
  );
  const waiting = waitingLines(deployment, paint);
  const parts = [serviceLines(deployment, paint), phases, verdictLines(deployment, paint), waiting];
  return [...lines, ...parts.flatMap((part) => (part.length === 0 ? [] : ["", ...part]))];
}

const VERDICTS_SHOWN = 5;

function verdictLines({ rollout }: Deployment, paint: Paint): string[] {
  const last = rollout?.verdicts.slice(-VERDICTS_SHOWN) ?? [];
  return last.map((verdict) => `  ${verdictText(verdict, paint)}`);
}

/** Cells of one row of `list`. */
export function listRow(deployment: Deployment, now: Date, paint: Paint): string[] {
  return [
    deployment.id,
    deployment.project,
    deployment.environment,
    stateText(deployment.state, paint),
    formatAge(deployment.createdAt, now),
    commitText(deployment),
    deployment.branch ?? "-",
    actorName(deployment.actor) || "-",
    cutToWidth(harmless(deployment.message ?? ""), 40),
  ];
}

export const LIST_HEADER = [
  "DEPLOYMENT",
  "PROJECT",
  "ENV",
  "STATE",
  "AGE",
  "COMMIT",
  "BRANCH",
  "WHO",
  "MESSAGE",
] as const;

function sourceText(deployment: Deployment): string | null {
  const branch = deployment.branch === null ? "" : ` on ${deployment.branch}`;
  const message = deployment.message === null ? "" : `  ${harmless(deployment.message)}`;
  const dirty = deployment.dirty ? " (with changes that are not committed)" : "";
  if (deployment.commit === null) return deployment.branch === null ? null : `-${branch}`;
  return `${deployment.commit.slice(0, 7)}${branch}${dirty}${message}`;
}

function weight(deployment: Deployment): string {
  return deployment.state === "shifting" && deployment.weight !== null
    ? ` (${Math.round(deployment.weight)} %)`
    : "";
}

function by(deployment: Deployment): string {
  const name = actorName(deployment.actor);
  return name === "" ? "" : ` by ${name}`;
}
