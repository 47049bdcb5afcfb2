/**
 * Webhooks: what git hosts tell us as it happens.
 *
 * - **Delivery**: one message of GitHub, with an id of its own. It acts once, however often it comes.
 * - **Secret**: what a project's deliveries are signed with; shown once, kept sealed.
 * - **Outcome**: what became of a delivery: a deployment, a sweep of the previews, or nothing and why.
 *
 * A webhook is never trusted to come: what it is about previews the sweep finds by itself within a minute.
 */
export type { Outcome } from "./decide-delivery.ts";
export type { TriggerPush, WebhookDeps } from "./deps.ts";
export { webhookAdminRoutes, webhookRoutes } from "./routes.ts";
export type { WebhookTables } from "./tables.ts";
