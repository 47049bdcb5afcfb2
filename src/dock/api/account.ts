import { Hono } from "hono";
import { z } from "zod";
import { AppError } from "../../foundation/errors.ts";
import { type Dock, TEAM, USER } from "../dock.ts";
import { readBody } from "./body.ts";

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
};

const Flag = z.boolean().optional();
const TeamBody = z.object({
  name: z.string().min(1).max(256).optional(),
  description: z.string().max(140).optional(),
  avatar: z.string().max(256).nullish(),
  emailDomain: z.string().max(256).nullish(),
  previewDeploymentSuffix: z.string().max(253).nullish(),
  hideIpAddresses: Flag,
  hideIpAddressesInLogDrains: Flag,
  requireVerifiedCommits: Flag,
  remoteCaching: z.object({ enabled: Flag }).optional(),
});

/** The one user and the one team. */
export function accountRoutes(dock: Dock): Hono {
  const app = new Hono();
  const current = async () => {
    const row = await dock.db.selectFrom("dock_state").select("team").executeTakeFirstOrThrow();
    return { ...team, ...row.team };
  };
  const refuseOthers = (id: string) => {
    if (id !== TEAM.id && id !== TEAM.slug)
      throw new AppError("not_found", `There is no team "${id.slice(0, 100)}".`);
  };

  app.get("/user", (c) => c.json({ user }));
  app.get("/teams", async (c) =>
    c.json({ teams: [await current()], pagination: { count: 1, next: null, prev: null } }),
  );
  app.get("/teams/:id", async (c) => {
    refuseOthers(c.req.param("id"));
    return c.json(await current());
  });

  app.patch("/teams/:id", async (c) => {
    refuseOthers(c.req.param("id"));
    const changes = await readBody(c, TeamBody);
    const { team: before } = await dock.db.selectFrom("dock_state").select("team").executeTakeFirstOrThrow();
    const updatedAt = dock.clock.now().getTime();
    await dock.db
      .updateTable("dock_state")
      .set({ team: JSON.stringify({ ...before, ...changes, updatedAt }) })
      .execute();
    return c.json(await current());
  });

  app.get("/teams/:id/members", (c) => {
    refuseOthers(c.req.param("id"));
    const member = {
      uid: USER.id,
      username: USER.username,
      email: USER.email,
      name: USER.name,
      role: "OWNER",
      confirmed: true,
      createdAt: 0,
    };
    return c.json({ members: [member], pagination: { count: 1, hasNext: false, next: null, prev: null } });
  });
  return app;
}
