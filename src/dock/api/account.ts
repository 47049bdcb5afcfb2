import { Hono } from "hono";
import { AppError } from "../../foundation/errors.ts";
import { TEAM, USER } from "../dock.ts";

const team = {
  ...TEAM,
  creatorId: USER.id,
  avatar: null,
  description: null,
  createdAt: 0,
  updatedAt: 0,
  stagingPrefix: "",
  billing: { plan: "pro" },
  membership: { role: "OWNER", confirmed: true, created: 0, createdAt: 0, uid: USER.id, teamId: TEAM.id },
  limited: false,
  resourceConfig: {},
};

const user = {
  ...USER,
  uid: USER.id,
  version: "northstar",
  defaultTeamId: TEAM.id,
  avatar: null,
  createdAt: 0,
  softBlock: null,
  billing: { plan: "pro" },
  resourceConfig: {},
  stagingPrefix: "",
  hasTrialAvailable: false,
  limited: false,
};

/** The one user and the one team. */
export function accountRoutes(): Hono {
  const app = new Hono();
  app.get("/user", (c) => c.json({ user }));
  app.get("/teams", (c) => c.json({ teams: [team], pagination: { count: 1, next: null, prev: null } }));
  app.get("/teams/:id", (c) => {
    const id = c.req.param("id");
    if (id === TEAM.id || id === TEAM.slug) return c.json(team);
    throw new AppError("not_found", `There is no team "${id}".`);
  });
  return app;
}
