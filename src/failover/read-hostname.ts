import type { FailoverDeps } from "./deps.ts";
import type { FailoverPlace } from "./place.ts";
import type { FailoverPolicy } from "./policy.ts";
import type { HostnameReading, HostnameSwitches } from "./ports.ts";
import type { Standby } from "./standby.ts";

/**
 * Where the hostname points: as the switch reads it back or, where it cannot, by who answers there. Null: nobody can
 * tell now. @throws AppError as the switch does.
 */
export async function readHostname(
  deps: Pick<FailoverDeps, "switches" | "probe">,
  { projectId, policy }: Pick<FailoverPlace, "projectId" | "policy">,
  standby: Pick<Standby, "mirrored"> | null,
  signal: AbortSignal,
): Promise<HostnameReading | null> {
  const reading = await askSwitch(deps.switches, projectId, policy, signal);
  if (reading !== null && reading !== "unsupported") return reading;
  if (reading === null || policy.url === null) return null;
  const { timeoutMs } = policy.probe;
  const { status, deploymentHeader } = await deps.probe(
    { type: "http", url: policy.url, timeoutMs, guardedFor: projectId },
    signal,
  );
  const own = standby?.mirrored.some(({ targetDeploymentId }) => targetDeploymentId === deploymentHeader);
  if (own) return { side: "standby", detail: `the dock, which answers there with ${deploymentHeader}` };
  // No answer may be the very outage. Any answer that is not the dock's is the primary's.
  return status === null ? null : { side: "primary", detail: "the primary, which answers there" };
}

async function askSwitch(
  switches: HostnameSwitches,
  projectId: string,
  { hostname, switch: options }: FailoverPolicy,
  signal: AbortSignal,
): Promise<HostnameReading | "unsupported" | null> {
  if (options === null || hostname === null) return null;
  return options.kind === "cloudflare"
    ? switches.cloudflare.read({ projectId, hostname, options }, signal)
    : switches.webhook.read({ projectId, hostname, options }, signal);
}
