/**
 * Settings: what a project needs to know that is in no commit.
 *
 * - **Secret**: a value by a name, sealed; of one environment, or of all of the project. It is set and used, and never
 *   shown.
 * - **Allowed network**: a private network that the project may reach beside the public internet, by whatever it
 *   has us call: checks, repositories, migrations, queries, failover. An owner allows it and says why.
 */
export type { SettingsDeps } from "./deps.ts";
export { networksOf, readNetworks } from "./networks.ts";
export { settingsRoutes } from "./routes.ts";
export { type FindSecret, readSecrets } from "./secrets.ts";
export type { SettingsTables } from "./tables.ts";
