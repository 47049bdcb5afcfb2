import { Hono } from "hono";
import { z } from "zod";
import { type Dock, USER } from "../dock.ts";
import { getDomain } from "../domains/domains.ts";
import {
  createRecord,
  type DnsRecord,
  deleteRecord,
  listRecords,
  type RecordInput,
  updateRecord,
} from "../domains/records.ts";
import { readBody } from "./body.ts";
import { paged } from "./paged.ts";

const TYPES = ["A", "AAAA", "ALIAS", "CAA", "CNAME", "HTTPS", "MX", "SRV", "TXT", "NS"] as const;
const Whole = z.number().int().min(0).max(65_535);
const Srv = z.object({ priority: Whole, weight: Whole, port: Whole, target: z.string().max(253) });
const Https = z.object({
  priority: Whole,
  target: z.string().max(253),
  params: z.string().max(1_024).nullish(),
});
const Fields = z.object({
  name: z.string().max(253).nullish(),
  type: z.enum(TYPES).nullish(),
  value: z.string().max(4_096).nullish(),
  ttl: z.number().int().min(0).max(2_147_483_647).nullish(),
  mxPriority: Whole.nullish(),
  srv: Srv.nullish(),
  https: Https.nullish(),
  comment: z.string().max(500).nullish(),
});
const CreateBody = Fields.extend({ type: z.enum(TYPES) });

/** DNS records, kept and shown. The dock answers no DNS. */
export function dnsRoutes(dock: Dock): Hono {
  const app = new Hono();

  app.post("/domains/:domain/records", async (c) => {
    const body = await readBody(c, CreateBody);
    const input = {
      name: "",
      value: "",
      ttl: 60,
      mx_priority: null,
      comment: null,
      ...inputOf(body),
      type: body.type,
    };
    const record = await createRecord(dock, c.req.param("domain"), input);
    return c.json({ uid: record.id, updated: record.updated_at.getTime() });
  });

  app.get("/domains/:domain/records", async (c) => {
    const { name } = await getDomain(dock, c.req.param("domain"));
    const { page, pagination } = paged(c, await listRecords(dock, name), (row) => row.created_at);
    return c.json({ records: page.map(recordView), pagination });
  });

  app.patch("/domains/records/:id", async (c) => {
    const record = await updateRecord(dock, c.req.param("id"), inputOf(await readBody(c, Fields)));
    return c.json({
      id: record.id,
      domain: record.domain,
      name: record.name,
      value: record.value,
      recordType: record.type,
      type: "record",
      creator: USER.id,
      createdAt: record.created_at.getTime(),
      ...(record.ttl === null ? {} : { ttl: record.ttl }),
      ...(record.comment === null ? {} : { comment: record.comment }),
    });
  });

  app.delete("/domains/:domain/records/:id", async (c) => {
    await deleteRecord(dock, c.req.param("domain"), c.req.param("id"));
    return c.json({});
  });

  return app;
}

/** What was sent, as columns; null as "not said", which is what the SDK sends for what it leaves out. */
function inputOf(body: z.infer<typeof Fields>): Partial<RecordInput> {
  const { srv, https } = body;
  const composed = srv
    ? `${srv.priority} ${srv.weight} ${srv.port} ${srv.target}`
    : https && `${https.priority} ${https.target}${https.params ? ` ${https.params}` : ""}`;
  const value = composed ?? body.value;
  return {
    ...(body.name == null ? {} : { name: body.name }),
    ...(body.type == null ? {} : { type: body.type }),
    ...(value == null ? {} : { value }),
    ...(body.ttl == null ? {} : { ttl: body.ttl }),
    ...(body.mxPriority == null ? {} : { mx_priority: body.mxPriority }),
    ...(body.comment == null ? {} : { comment: body.comment }),
  };
}

function recordView(record: DnsRecord) {
  const createdAt = record.created_at.getTime();
  const updatedAt = record.updated_at.getTime();
  return {
    id: record.id,
    slug: record.id,
    name: record.name,
    type: record.type,
    value: record.value,
    ...(record.ttl === null ? {} : { ttl: record.ttl }),
    ...(record.mx_priority === null ? {} : { mxPriority: record.mx_priority, priority: record.mx_priority }),
    ...(record.comment === null ? {} : { comment: record.comment }),
    creator: USER.id,
    created: createdAt,
    createdAt,
    updated: updatedAt,
    updatedAt,
  };
}
