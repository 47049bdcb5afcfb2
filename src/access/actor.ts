import { AppError } from "../foundation/errors.ts";

export const ROLES = ["viewer", "deployer", "owner"] as const;
export type Role = (typeof ROLES)[number];

export type Actor =
  | { readonly kind: "token"; readonly id: string; readonly name: string; readonly role: Role }
  | { readonly kind: "system"; readonly id: null; readonly name: string; readonly role: "owner" };

/** Signalbox acting by itself: `systemActor("reconciler")`. */
export function systemActor(name: string): Actor {
  return { kind: "system", id: null, name, role: "owner" };
}

/** @throws AppError `forbidden` when the actor's role is below `needed`. */
export function requireRole(actor: Actor, needed: Role): void {
  if (ROLES.indexOf(actor.role) >= ROLES.indexOf(needed)) return;
  throw new AppError(
    "forbidden",
    `This needs the role "${needed}"; the token "${actor.name}" has "${actor.role}".`,
    {
      hint: `Ask an owner for a token with the role "${needed}".`,
    },
  );
}
