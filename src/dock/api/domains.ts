import { Hono } from "hono";
import { z } from "zod";
import { type Dock, TEAM, USER } from "../dock.ts";
import {
  addDomain,
  changeDomain,
  type Domain,
  deleteDomain,
  getDomain,
  listDomains,
} from "../domains/domains.ts";
import { parseHost } from "../hosts.ts";
import { VercelError } from "../vercel-error.ts";
import { readBody } from "./body.ts";
import { paged } from "./paged.ts";
import { projectDomainView } from "./project-domains.ts";

const AddBody = z.object({ name: z.string().min(1).max(253), method: z.enum(["add"]).default("add") });
const PatchBody = z.object({
  op: z.literal("update", "must be update: the dock moves no domains to other teams").default("update"),
  renew: z.boolean().optional(),
  customNameservers: z.array(z.string().max(253)).max(10).optional(),
  zone: z.boolean().optional(),
  echMode: z.enum(["auto", "disabled"]).optional(),
});

/** Domains of the team: kept and shown. What serves a host is the domain of a project. */
export function domainRoutes(dock: Dock): Hono {
  const app = new Hono();

  app.post("/domains", async (c) => {
    const { name } = await readBody(c, AddBody);
    return c.json({ domain: domainView(await addDomain(dock, name)) });
  });

  app.get("/domains", async (c) => {
    const { page, pagination } = paged(c, await listDomains(dock), (row) => row.created_at);
    return c.json({ domains: page.map(domainView), pagination });
  });

  app.get("/domains/:domain", async (c) =>
    c.json({ domain: { ...domainView(await getDomain(dock, c.req.param("domain"))), suffix: false } }),
  );

  app.patch("/domains/:domain", async (c) => {
    const { op: _, ...settings } = await readBody(c, PatchBody);
    const row = await changeDomain(dock, c.req.param("domain"), settings);
    return c.json({ echMode: "auto", ...row.settings });
  });

  app.delete("/domains/:domain", async (c) => {
    const { id } = await deleteDomain(dock, c.req.param("domain"));
    return c.json({ uid: id });
  });

  app.get("/domains/:domain/config", (c) => {
    const name = parseHost(c.req.param("domain"));
    if (!name) throw new VercelError("bad_request", "invalid_domain", "That is not a domain.");
    // Whether the world's DNS leads here is not ours to know: the gateway answers for a host once it has one.
    const isServed = dock.traffic.state.aliases.has(name);
    return c.json({
      configuredBy: isServed ? "http" : null,
      acceptedChallenges: [],
      recommendedIPv4: [],
      recommendedCNAME: [],
      misconfigured: !isServed,
    });
  });

  app.get("/domains/:domain/verification", async (c) => {
    const { name, id } = await getDomain(dock, c.req.param("domain"));
    return c.json({ verificationDomain: `_vercel.${name}`, txtRecord: `vc-domain-verify=${name},${id}` });
  });

  app.get("/domains/:domain/project-domains", async (c) => {
    const { name } = await getDomain(dock, c.req.param("domain"));
    const rows = await dock.db
      .selectFrom("project_domains")
      .selectAll()
      .orderBy("created_at", "desc")
      .execute();
    const under = rows.filter((row) => row.name === name || row.name.endsWith(`.${name}`));
    const { page, pagination } = paged(c, under, (row) => row.created_at);
    return c.json({ projectDomains: page.map(projectDomainView), pagination });
  });

  return app;
}

function domainView(row: Domain) {
  return {
    id: row.id,
    name: row.name,
    createdAt: row.created_at.getTime(),
    boughtAt: null,
    expiresAt: null,
    creator: { id: USER.id, username: USER.username, email: USER.email },
    echMode: "auto",
    intendedNameservers: [],
    nameservers: [],
    serviceType: "external",
    teamId: TEAM.id,
    userId: USER.id,
    verified: true,
    ...row.settings,
  };
}
