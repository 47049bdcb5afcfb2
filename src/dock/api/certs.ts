import { Hono } from "hono";
import type { Selectable } from "kysely";
import { z } from "zod";
import { AppError } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import { parseHost } from "../hosts.ts";
import type { DockTables } from "../rows.ts";
import { readBody } from "./body.ts";
import { paged } from "./paged.ts";

type Cert = Selectable<DockTables["certs"]>;

const IssueBody = z.object({ cns: z.array(z.string().max(253)).min(1).max(100) });
const LIFE_MS = 90 * 24 * 60 * 60_000;

/**
 * Certificates in Vercel's shape, kept and shown so that a client that asks for one goes on. No certificate is made:
 * TLS is ended in front of the gateway.
 */
export function certRoutes(dock: Dock): Hono {
  const app = new Hono();
  const all = async () => dock.db.selectFrom("certs").selectAll().orderBy("created_at", "desc").execute();
  const get = async (id: string) => {
    const row = (await all()).find((cert) => cert.id === id);
    if (row) return row;
    throw new AppError("not_found", `There is no certificate "${id.slice(0, 100)}".`);
  };

  app.get("/certs", async (c) => {
    const { page, pagination } = paged(c, await all(), (cert) => cert.created_at);
    return c.json({ certs: page.map(certView), pagination });
  });

  app.post("/certs", async (c) => {
    const { cns } = await readBody(c, IssueBody);
    const hosts = cns.map((cn) => parseHost(cn.replace(/^\*\./, "")) && cn.toLowerCase());
    if (hosts.includes(null))
      throw new AppError("bad_request", "One of the common names is not a host name.");
    const now = dock.clock.now();
    const row = {
      id: dock.ids("cert"),
      cns: hosts.filter((host) => host !== null),
      auto_renew: true,
      created_at: now,
      expires_at: new Date(now.getTime() + LIFE_MS),
    };
    await dock.db.insertInto("certs").values(row).execute();
    return c.json(certView(row));
  });

  app.get("/certs/:id", async (c) => c.json(certView(await get(c.req.param("id")))));

  app.delete("/certs/:id", async (c) => {
    const { id } = await get(c.req.param("id"));
    await dock.db.deleteFrom("certs").where("id", "=", id).execute();
    return c.json({});
  });

  return app;
}

function certView(row: Cert) {
  return {
    id: row.id,
    cns: row.cns,
    autoRenew: row.auto_renew,
    createdAt: row.created_at.getTime(),
    expiresAt: row.expires_at.getTime(),
  };
}
