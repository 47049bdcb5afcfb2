import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { TEAM } from "../dock.ts";

/**
 * Lets a request through whose bearer token's SHA-256 is one of `tokens`. Everyone else gets 403 as from Vercel, whose
 * clients take `invalidToken` as the sign to log in again. Hashes are compared in constant time, and all of them.
 */
export function requireToken(tokens: readonly { readonly hash: string }[]): MiddlewareHandler {
  const hashes = tokens.map(({ hash }) => Buffer.from(hash, "hex"));
  return async (c, next) => {
    const token = /^Bearer\s+(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    if (token === undefined) {
      return c.json(
        { error: { code: "forbidden", message: "A bearer token is required.", missingToken: true } },
        403,
      );
    }
    const given = createHash("sha256").update(token).digest();
    let known = false;
    for (const hash of hashes)
      known = (hash.length === given.length && timingSafeEqual(hash, given)) || known;
    if (known) return next();
    return c.json(
      { error: { code: "forbidden", message: "The token is not valid.", invalidToken: true } },
      403,
    );
  };
}

/** A request that is meant for another team must not change this one's. Vercel answers such a request with 403. */
export const requireTeam: MiddlewareHandler = async (c, next) => {
  const { teamId, slug } = c.req.query();
  const isOurs = (teamId ?? TEAM.id) === TEAM.id && (slug ?? TEAM.slug) === TEAM.slug;
  if (isOurs) return next();
  const message = `Not authorized: the dock has one team, "${TEAM.slug}" (${TEAM.id}).`;
  return c.json({ error: { code: "forbidden", message, scope: teamId ?? slug } }, 403);
};
