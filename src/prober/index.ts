/**
 * The prober: asks every service how it is, on time, and writes down what it found.
 *
 * - **Tick**: the moment a check is due. **Round**: what is made of it: attempts, and a verdict within the timeout.
 * - **Missed**, **busy**: ticks that did not become a round. They are written down as such, and never made up for.
 * - **Shard**: a share of a location's checks. One prober at a time holds it, by a lease; what an earlier one writes
 *   later is refused.
 * - **Untrusted**: a round that says more of us than of the service: our loop stood still, or our network was away.
 */
export type { Chores } from "./chores.ts";
export { type Canary, parseCanaries } from "./connectivity.ts";
export { type ControlPlane, connectControlPlane } from "./control-plane.ts";
export type { LoadChecks, LoadProbe } from "./ports.ts";
export { type ProberOptions, type RunningProber, startProber } from "./start.ts";
export { type AgentOptions, startAgent } from "./start-agent.ts";
