import { createHash } from "node:crypto";
import { type LoadedCheck, listChecks } from "../load-checks.ts";
import type { ProbeType } from "../model.ts";
import type { Agent, AgentDeps } from "./deps.ts";

/** A check as an agent runs it. What it may reach is the agent's own operator's to say, so no network comes along. */
export type AgentCheck = Pick<
  LoadedCheck,
  "id" | "projectId" | "environment" | "name" | "type" | "settings" | "policy" | "problem"
>;

export type AgentWork = {
  readonly location: string;
  readonly checks: readonly AgentCheck[];
  /** Changes with anything of it. */
  readonly etag: string;
};

/** What reads or runs things on the prober's own machine, or is not asked at all: no agent is given it. */
export const AT_HOME: readonly ProbeType[] = ["docker", "command", "heartbeat"];

/**
 * The checks that name the agent's location, with the secrets that they need: whoever names a place in a check trusts
 * it with them.
 */
export async function agentWork(deps: AgentDeps, { location }: Agent): Promise<AgentWork> {
  const all = await listChecks({ ...deps, allowNetworks: [] }, { location });
  const checks = all
    .filter(({ type }) => !AT_HOME.includes(type))
    .map(({ id, projectId, environment, name, type, settings, policy, problem }) => {
      return { id, projectId, environment, name, type, settings, policy, problem };
    });
  const etag = `"${createHash("sha256").update(JSON.stringify(checks)).digest("base64url").slice(0, 24)}"`;
  return { location, checks, etag };
}
