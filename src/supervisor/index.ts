/**
 * The supervisor: starts postgres, the dock, the gateway, the control plane and the prober, keeps them running, stops
 * them in order. Killed itself, it loses nothing: postgres, the gateway and the apps go on, and the next supervisor
 * adopts them.
 *
 * - **up**: makes sure that a supervisor runs (in the background, or here) and says where everything is.
 * - **down**: ends it, and whatever a killed one left behind.
 * - **lock**: one supervisor for each data directory.
 */
export type { ChildMessage } from "./child.ts";
export { dockAccess } from "./dock-access.ts";
export { down } from "./down.ts";
export { readSecrets, type Secrets } from "./secrets.ts";
export { readState } from "./state.ts";
export { type Running, supervise } from "./supervise.ts";
export { type UpMessage, up } from "./up.ts";
