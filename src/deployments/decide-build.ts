import type { TargetDeployment } from "../targets/target.ts";
import { gateStep } from "./decide-gate.ts";
import type { ProbeResult } from "./ports.ts";
import type { Observed, Patch, Step } from "./reconcile.ts";
import type { Deployment, ServiceRelease } from "./record.ts";
import { movingServices, withService } from "./services.ts";
import { after, failed } from "./step.ts";
import { judge, minHealthyMs } from "./verify.ts";

/** Asks for one build after the other, so that all of them are under way together; then looks until all are ready. */
export function build(deployment: Deployment, { builds }: Observed, now: Date): Step {
  const wanted = deployment.services.find((service) => service.targetDeploymentId === null);
  if (wanted) return { do: "build", service: wanted.name };
  let services = deployment.services;
  for (const service of movingServices(deployment)) {
    const seen = builds[service.name];
    if (seen === undefined) continue;
    const label = labelOf(deployment, service);
    if (seen === "gone") {
      return failed(`The target has no deployment ${service.targetDeploymentId} any more.`, {
        hint: "Deploy again.",
        outcome: "error",
        patch: { services, cleanup: "cancel_build" },
      });
    }
    services = withService(services, service.name, seenAtTarget(service, seen));
    // One that fails fails all; the others' builds are ended and their releases let go.
    const patch: Patch = { services, cleanup: "cancel_build" };
    if (seen.state === "error") {
      const message = seen.error ? `: ${seen.error.message}` : ".";
      return failed(`The build${label} failed${message}`, {
        hint: "Read the end of the build log, correct it, and deploy again.",
        patch,
      });
    }
    if (seen.state === "canceled") {
      const reason = `The build${label} was canceled at the target.`;
      return { do: "move", to: "canceled", reason, patch };
    }
  }
  if (services.every((service) => service.built)) {
    const reused = services.every((service) => service.reused);
    const what = services.length > 1 ? `${services.length} services are` : "The build is";
    const reason = reused ? "An earlier build of the same tree was reused." : `${what} ready.`;
    return { do: "move", to: "verifying", reason, patch: { services } };
  }
  return { do: "wait", until: after(now, buildLookMs(deployment, now)), patch: { services } };
}

function labelOf({ services }: Deployment, { name }: ServiceRelease): string {
  return services.length > 1 ? ` of "${name}"` : "";
}

function seenAtTarget(service: ServiceRelease, seen: TargetDeployment): Partial<ServiceRelease> {
  const { url, kind, reused } = seen;
  const buildStartedAtMs = seen.buildStartedAt?.getTime() ?? service.buildStartedAtMs;
  return { url, kind, reused, buildStartedAtMs, built: seen.state === "ready" };
}

/** Looks often at first, when a reused or static build may be ready in no time, then ever less. */
function buildLookMs(deployment: Deployment, now: Date): number {
  const elapsed = now.getTime() - deployment.stateSince.getTime();
  if (elapsed < 3_000) return 50;
  return elapsed < 60_000 ? 500 : 1_000;
}

/** Until every service that changes was healthy for its whole period, all at the same time. */
export function verify(deployment: Deployment, observed: Observed, now: Date): Step {
  let services = deployment.services;
  const waiting: string[] = [];
  let longestMs = 0;
  for (const service of movingServices(deployment)) {
    const seen = observed.probes[service.name];
    if (!seen) {
      waiting.push(service.name);
      continue;
    }
    const times = { now, since: verifyingSince(deployment), minHealthyMs: minHealthyMs(deployment, service) };
    const verdict = judge(service.verification, seen, service.health, times);
    longestMs = Math.max(longestMs, times.minHealthyMs);
    services = withService(services, service.name, { verification: verdict.verification });
    if (verdict.is === "failed") {
      return failed(`${prefixOf(deployment, service)}${verdict.reason}`, {
        hint: unhealthyHint(service, seen),
        patch: { services, cleanup: "retire" },
      });
    }
    if (verdict.is === "waiting") waiting.push(service.name);
  }
  if (waiting.length === 0) {
    const reason = `Healthy for ${Math.round(longestMs / 100) / 10} s.`;
    return gateStep({ ...deployment, services }, observed, now, reason, { services });
  }
  const interval = Math.min(5_000, ...deployment.services.map((service) => service.health.intervalMs));
  return { do: "wait", until: after(now, interval), patch: { services } };
}

function unhealthyHint({ health }: ServiceRelease, seen: readonly ProbeResult[]): string {
  if (seen.some((result) => result.protected)) {
    return "Give Signalbox the project's bypass secret (SIGNALBOX_VERCEL_BYPASS), or lift the protection at Vercel.";
  }
  if (seen.some((result) => result.paused)) return "Resume the project at Vercel, then deploy again.";
  const [first] = health.checks;
  const answers = first?.type === "http" ? `answers GET ${first.path}` : "takes connections";
  return `See that the app listens on $PORT and ${answers}, or change "health" in signalbox.yaml.`;
}

/** While the platform was away nothing could become healthy, so that time does not count. */
function verifyingSince({ stateSince, facts }: Deployment): Date {
  return new Date(Math.max(stateSince.getTime(), facts.resumedAtMs ?? 0));
}

function prefixOf({ services }: Deployment, { name }: ServiceRelease): string {
  return services.length > 1 ? `"${name}": ` : "";
}
