/**
 * Failover: a second place that can serve a project's production when the first one is away.
 *
 * - **Primary**: the target that production is deployed to, such as Vercel. **Standby**: the dock, kept ready.
 * - **Mirror**: what the standby shows: the deployment that is live at the primary, built from the same tree.
 * - **Ready**: it mirrors what is live, and answers its health check.
 * - **Verdict**: what one look at the primary says: `away` is the platform's fault, `release` is ours.
 * - **Streak**: the same verdict in a row. Only a long one moves anybody; that is the hysteresis.
 * - **Switch**: the hostname moves from one side to the other: written down, done, read back.
 * - **Automatic**: a switch that nobody asked for. It comes back automatically; a person's comes back by a person.
 */
export type { FailoverDeps } from "./deps.ts";
export { mirrorUploads } from "./mirror-uploads.ts";
export type { CloudflareOptions, FailoverPolicy, Side, SwitchOptions, WebhookOptions } from "./policy.ts";
export type {
  HostnamePlace,
  HostnameReading,
  HostnameSwitch,
  HostnameSwitches,
  PrepareStandby,
  PrimaryVariables,
  ResupplyStandby,
  StandbyTarget,
  StatusPage,
} from "./ports.ts";
export { failoverRoutes } from "./routes.ts";
export { type FailoverOptions, type RunningFailover, startFailover } from "./start.ts";
export type { FailoverTables } from "./tables.ts";
