/**
 * What others do at the target beside us: in Vercel's dashboard, by its CLI, through its Git integration.
 *
 * - **Watch**: one project at the target that is looked at each minute, and at once when the target tells us something.
 * - **Look**: compares what is there with what was there before. Only a difference makes an event, so a delivery and a
 *   look that come together make one.
 * - **Event**: a change that was not ours: a promotion, a rollback, a build that failed. It has its audit entry.
 * - **Delivery**: a webhook of Vercel. It is never trusted to come, nor for what it says: it is only a reason to look.
 * - **Pinned**: somebody rolled back, so new builds do not take the domains by themselves until the next promotion.
 */
export type { OutsideDeps, OutsideTables } from "./deps.ts";
export { outsideRoutes, vercelWebhookRoutes } from "./routes.ts";
export { startWatcher, type Watcher } from "./watcher.ts";
