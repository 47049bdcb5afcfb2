import type { MiddlewareHandler } from "hono";
import type { Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { RequestVariables } from "../foundation/http.ts";
import type { Actor } from "./actor.ts";
import type { AccessTables } from "./tables.ts";
import { findActor } from "./tokens.ts";

export type ActorEnv = { Variables: RequestVariables & { actor: Actor } };

/** Sets `actor` from `Authorization: Bearer …`. @throws AppError `unauthorized` without a token that is good now. */
export function authenticate(deps: { db: Database<AccessTables> }): MiddlewareHandler<ActorEnv> {
  return async (c, next) => {
    const token = /^Bearer +(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    if (!token) {
      throw new AppError("unauthorized", "This needs a token.", {
        hint: "Send `Authorization: Bearer <token>`; `signalbox up` prints the first one.",
      });
    }
    const actor = await findActor(deps, token);
    if (!actor) {
      throw new AppError("unauthorized", "This token is unknown or has been revoked.", {
        hint: "Check SIGNALBOX_TOKEN, or ask an owner for a new token.",
      });
    }
    c.set("actor", actor);
    await next();
  };
}
