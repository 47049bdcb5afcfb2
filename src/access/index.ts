/**
 * Access: who may do what, and the record of who did.
 *
 * - **Actor**: whoever asks: a token's holder, or Signalbox itself.
 * - **Role**: viewer (reads), deployer (deploys and rolls back), owner (everything). Each includes the one before.
 * - **Token**: a bearer secret `sbx_…`; only its SHA-256 is stored.
 * - **Audit entry**: one row for each mutation, written in the mutation's own transaction.
 */
export { type Actor, type Role, requireRole, systemActor } from "./actor.ts";
export { type AuditEntry, audit } from "./audit.ts";
export { type ActorEnv, authenticate } from "./authenticate.ts";
export { type IdempotentAnswer, once } from "./once.ts";
export { tokenRoutes } from "./routes.ts";
export type { AccessTables } from "./tables.ts";
export { createToken, ensureOwnerToken, findActor, revokeToken } from "./tokens.ts";
