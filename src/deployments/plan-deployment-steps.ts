import type { EnvironmentName } from "../targets/target.ts";
import { type PlannedService, spanText } from "./downtime.ts";
import type { PlannedGate } from "./plan-deployment.ts";
import type { SchemaOutlook } from "./plan-deployment-ports.ts";
import type { HealthCheck, Plan } from "./plan-source.ts";
import type { State } from "./state.ts";
import { minHealthyMs } from "./verify.ts";

export type PlannedStep = { readonly at: State; readonly text: string };

type StepsInput = {
  readonly environment: EnvironmentName;
  readonly services: readonly (PlannedService & { readonly minHealthyMs: number | null })[];
  readonly plan: Plan;
  readonly schema: SchemaOutlook;
  readonly gate: Pick<PlannedGate, "waitsFor" | "startsNow">;
  readonly queue: { readonly ahead: number; readonly supersedes: readonly string[] };
  readonly strategy: readonly string[];
};

/** The states that it will go through, and what is done in each. Pure. */
export function plannedSteps(input: StepsInput): PlannedStep[] {
  const { services, plan, gate, strategy } = input;
  const moving = services.filter(({ change }) => change !== "unchanged");
  const names = moving.map(({ name }) => name).join(", ");
  return [
    ...queued(input),
    { at: "preparing", text: "read the commit and its signalbox.yaml" },
    { at: "building", text: moving.length === 0 ? "nothing: no service has changed" : `build ${names}` },
    ...moving.map((service) => verified(input, service)),
    ...(gate.waitsFor === null ? [] : [step("awaiting_approval", gate.waitsFor)]),
    ...migrated(input),
    step("releasing", "look again at the gate, and at who serves now"),
    ...shifted(moving, strategy),
    step("live", live(input, plan)),
  ];
}

function queued({ queue, gate }: StepsInput): PlannedStep[] {
  const { ahead, supersedes } = queue;
  return [
    ...(ahead > 0 ? [step("queued", `wait for ${ahead} before it`)] : []),
    ...(gate.startsNow ? [] : [step("queued", "wait until no lock holds")]),
    ...(supersedes.length > 0 ? [step("queued", `take the place of ${supersedes.join(", ")}`)] : []),
  ];
}

function verified(
  { environment }: StepsInput,
  { name, checks, minHealthyMs: asked, kind }: StepsInput["services"][number],
): PlannedStep {
  const health = { minHealthyMs: asked } as Parameters<typeof minHealthyMs>[1]["health"];
  const ms = minHealthyMs({ environment }, { kind, health });
  const healthy = ms === 0 ? "healthy once" : `healthy for ${spanText(ms)}`;
  return step("verifying", `${name} is ${healthy}: ${checks.map(checkText).join(", ")}`);
}

function checkText(check: HealthCheck): string {
  if (check.type === "tcp") return "takes TCP connections";
  if (check.type === "websocket") return `WebSocket ${check.path}`;
  const body = check.contains === null ? "" : ` with "${check.contains}"`;
  return `GET ${check.path} answers ${check.expectStatus.join(" to ")}${body}`;
}

function migrated({ plan, schema }: StepsInput): PlannedStep[] {
  const all = plan.schema?.expand ?? [];
  if (all.length === 0) return [];
  const names = schema.expand?.pending;
  const what = names === undefined ? `apply what is pending of ${all.length} migrations` : pendingText(names);
  const held = plan.schema?.hold ? ", while requests wait" : "";
  return [step("migrating", what + held)];
}

function pendingText(names: readonly string[]): string {
  return names.length === 0 ? "nothing is pending" : `apply ${names.join(", ")}`;
}

/** Without a release before it there is nothing to split with, whatever the strategy. */
function shifted(moving: StepsInput["services"], strategy: readonly string[]): PlannedStep[] {
  if (moving.length === 0) return [];
  const isFirst = moving.every(({ change }) => change === "new");
  const lines = isFirst ? ["all traffic at once: nothing serves there yet"] : strategy;
  return lines.map((line) => step("shifting", line));
}

function live({ schema }: StepsInput, plan: Plan): string {
  const contract = schema.contract?.pending ?? plan.schema?.contract ?? [];
  const after = `after ${spanText(plan.rollbackWindowMs)}`;
  return contract.length === 0 ? "serve" : `serve; ${after}, apply the contract ${contract.join(", ")}`;
}

function step(at: State, text: string): PlannedStep {
  return { at, text };
}
