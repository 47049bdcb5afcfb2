import { z } from "zod";
import type { Failure, Outcome } from "../../../checks/model.ts";

/** Of `GET /containers/{id}/json`. Source: docs.docker.com/reference/api/engine */
const container = z.object({
  RestartCount: z.number().default(0),
  State: z.object({
    Status: z.string(),
    OOMKilled: z.boolean().default(false),
    ExitCode: z.number().default(0),
    Health: z.object({ Status: z.string(), FailingStreak: z.number().default(0) }).nullish(),
  }),
});

export function judgeContainer(name: string, answer: unknown): Outcome {
  const parsed = container.safeParse(answer);
  if (!parsed.success) return { status: "down", failure: nonsense };
  const { State: state, RestartCount: restarts } = parsed.data;
  const health = state.Health?.Status ?? "none";
  const isRunning = state.Status === "running";
  const observed = {
    state: state.Status,
    health,
    restarts,
    outOfMemory: state.OOMKilled,
    ...(isRunning ? {} : { exitCode: state.ExitCode }),
  };
  const failure = isRunning ? unwell(name, health, state.Health?.FailingStreak ?? 0) : ended(name, state);
  if (failure !== null) return { status: "down", failure, observed };
  if (!state.OOMKilled) return { status: "up", observed };
  const message = `${name} runs, and a process in it was killed for want of memory.`;
  return { status: "degraded", failure: { class: "overloaded", message }, observed };
}

const nonsense: Failure = { class: "protocol", message: "The answer is not one of a Docker Engine." };

function unwell(name: string, health: string, streak: number): Failure | null {
  if (health === "starting")
    return { class: "starting", message: `${name} runs, and its own health check has not passed yet.` };
  if (health !== "unhealthy") return null;
  return {
    class: "status",
    message: `${name} is unhealthy: its own health check failed ${streak} times in a row.`,
  };
}

type State = z.output<typeof container>["State"];

function ended(name: string, { Status, OOMKilled, ExitCode }: State): Failure {
  if (OOMKilled)
    return { class: "overloaded", message: `${name} is ${Status}: it was killed for want of memory.` };
  if (Status === "restarting")
    return { class: "starting", message: `${name} is restarting; it last ended with code ${ExitCode}.` };
  if (Status === "removing") return { class: "starting", message: `${name} is being removed.` };
  if (Status === "created") return { class: "missing", message: `${name} was created and never started.` };
  if (Status === "exited") return { class: "status", message: `${name} ended with code ${ExitCode}.` };
  return { class: "status", message: `${name} is ${Status}.` };
}

/** Of `GET /services?status=true`. */
const services = z.array(
  z.object({
    ID: z.string(),
    Spec: z.object({ Name: z.string() }),
    ServiceStatus: z.object({ RunningTasks: z.number(), DesiredTasks: z.number() }).nullish(),
    UpdateStatus: z.object({ State: z.string().optional() }).nullish(),
  }),
);

export function judgeService(name: string, answer: unknown): Outcome {
  const parsed = services.safeParse(answer);
  if (!parsed.success) return { status: "down", failure: nonsense };
  // The filter also finds names that only begin like this one.
  const found = parsed.data.find(({ ID, Spec }) => Spec.Name === name || ID === name);
  if (found === undefined)
    return { status: "down", failure: { class: "missing", message: `There is no service ${name}.` } };
  if (!found.ServiceStatus) {
    const message = "The engine does not count a service's tasks: its API is older than 1.41.";
    return { status: "down", failure: { class: "unsupported", message } };
  }
  const { RunningTasks: running, DesiredTasks: wanted } = found.ServiceStatus;
  const update = found.UpdateStatus?.State ?? null;
  const observed = { runningReplicas: running, wantedReplicas: wanted, update };
  const message = `${running} of ${wanted} replicas of ${name} are running.`;
  if (running < wanted)
    return { status: running === 0 ? "down" : "degraded", failure: { class: "missing", message }, observed };
  if (update === "paused" || update === "rollback_paused") {
    const failure: Failure = {
      class: "status",
      message: `The update of ${name} failed and stands still (${update}).`,
    };
    return { status: "degraded", failure, observed };
  }
  return { status: "up", observed };
}
