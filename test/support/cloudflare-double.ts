import { createHash } from "node:crypto";
import type { AddressInfo } from "node:net";
import { type HttpBindings, type ServerType, serve } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { z } from "zod";

export const CLOUDFLARE_TOKEN = "cloudflare-token-of-the-tests";

/**
 * Cloudflare's API v4 as far as zones and DNS records go, over a real socket: envelopes, errors, filters and the rules
 * for names as documented. The official SDK makes and reads the same records: `test/contract/cloudflare-sdk.test.ts`.
 */
export type CloudflareDouble = {
  readonly api: string;
  /** Makes a zone; its id. */
  addZone(name: string): string;
  /** Makes a record. */
  addRecord(zone: string, record: { type: string; name: string; content: string }): void;
  /** What the name resolves to: the contents of its records. */
  resolve(name: string): string[];
  readonly seen: { method: string; path: string; body: unknown }[];
  /** Removes all records, and what was seen. */
  clear(): void;
  /** The next request with this method is refused with a status, or done and its answer lost. */
  fail(method: string, how: number | "answer lost"): void;
  /** The next request with this method is done, and its answer is held until the function that this gives is called. */
  hold(method: string): { readonly reached: Promise<void>; letGo(): void };
  close(): Promise<void>;
};

type DnsRecord = z.output<typeof Writable> & { id: string; zone: string };
const Writable = z.object({
  type: z.enum(["A", "AAAA", "CNAME", "TXT"]),
  name: z.string().min(1).max(255),
  content: z.string().min(1),
  // 1 is "automatic".
  ttl: z
    .number()
    .int()
    .refine((ttl) => ttl === 1 || (ttl >= 30 && ttl <= 86_400)),
  proxied: z.boolean().default(false),
  comment: z.string().max(100).nullish(),
  tags: z.array(z.string()).default([]),
});

export async function startCloudflareDouble(): Promise<CloudflareDouble> {
  const zones = new Map<string, string>();
  const records = new Map<string, DnsRecord>();
  const faults: { method: string; how: number | "answer lost" }[] = [];
  const holds: { method: string; reach: () => void; released: Promise<void> }[] = [];
  const seen: CloudflareDouble["seen"] = [];
  const app = new Hono();
  app.use(async (c, next) => {
    const text = c.req.method === "GET" ? "" : await c.req.raw.clone().text();
    seen.push({ method: c.req.method, path: c.req.path, body: text === "" ? null : JSON.parse(text) });
    if (c.req.header("authorization") !== `Bearer ${CLOUDFLARE_TOKEN}`)
      return refuse(c, 403, 10000, "Authentication error");
    const [fault] = take(faults, c.req.method);
    if (typeof fault?.how === "number") return refuse(c, fault.how, 10013, "An unknown error occurred");
    await next();
    if (fault) (c.env as HttpBindings).incoming.socket.destroy();
    const [held] = take(holds, c.req.method);
    held?.reach();
    await held?.released;
    return undefined;
  });
  mount(app, zones, records);
  const server = await new Promise<ServerType>((resolve) => {
    const started: ServerType = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () =>
      resolve(started),
    );
  });
  return {
    api: `http://127.0.0.1:${(server.address() as AddressInfo).port}/client/v4`,
    seen,
    addZone(name) {
      const id = idOf(`zone ${name}`);
      zones.set(id, name);
      return id;
    },
    addRecord(zone, record) {
      const id = idOf(`${zone} ${record.name} ${record.type} ${record.content}`);
      records.set(id, { ...Writable.parse({ ...record, ttl: 1 }), id, zone });
    },
    resolve: (name) => [...records.values()].filter((one) => one.name === name).map(({ content }) => content),
    clear() {
      records.clear();
      seen.length = 0;
      faults.length = 0;
    },
    fail: (method, how) => void faults.push({ method, how }),
    hold(method) {
      const reached = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      holds.push({ method, reach: reached.resolve, released: released.promise });
      return { reached: reached.promise, letGo: released.resolve };
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  };
}

/** The first of a method's, which is then gone. */
function take<T extends { method: string }>(from: T[], method: string): T[] {
  const at = from.findIndex((each) => each.method === method);
  return at === -1 ? [] : from.splice(at, 1);
}

function mount(app: Hono, zones: Map<string, string>, records: Map<string, DnsRecord>): void {
  const base = "/client/v4";
  app.get(`${base}/zones`, (c) => {
    const name = c.req.query("name");
    const found = [...zones].filter(([, own]) => name === undefined || own === name);
    return list(
      c,
      found.map(([id, own]) => ({ id, name: own, status: "active" })),
    );
  });
  app.get(`${base}/zones/:zone/dns_records`, (c) => {
    const { zone } = c.req.param();
    if (!zones.has(zone))
      return refuse(c, 404, 7003, "Could not route to the zone, perhaps its identifier is invalid");
    const { name, type } = c.req.query();
    const exact = c.req.query("name.exact") ?? name;
    const found = [...records.values()].filter(
      (one) => one.zone === zone && (!exact || one.name === exact) && (!type || one.type === type),
    );
    return list(c, found.map(view));
  });
  app.get(`${base}/zones/:zone/dns_records/:id`, (c) => {
    const record = records.get(c.req.param("id"));
    return record ? result(c, view(record)) : refuse(c, 404, 81044, "Record does not exist.");
  });
  app.post(`${base}/zones/:zone/dns_records`, async (c) => {
    const { zone } = c.req.param();
    return save(c, records, { zone, id: idOf(`${zone} ${records.size}`) }, await c.req.json());
  });
  app.on(["PATCH", "PUT"], `${base}/zones/:zone/dns_records/:id`, async (c) => {
    const record = records.get(c.req.param("id"));
    if (!record) return refuse(c, 404, 81044, "Record does not exist.");
    const body = await c.req.json();
    return save(c, records, record, c.req.method === "PATCH" ? { ...record, ...body } : body);
  });
  app.delete(`${base}/zones/:zone/dns_records/:id`, (c) => {
    const { id } = c.req.param();
    return records.delete(id) ? result(c, { id }) : refuse(c, 404, 81044, "Record does not exist.");
  });
}

function save(c: Context, records: Map<string, DnsRecord>, at: { id: string; zone: string }, body: unknown) {
  const parsed = Writable.safeParse(body);
  if (!parsed.success) return refuse(c, 400, 9005, "Content for the record is invalid.");
  const others = [...records.values()].filter((one) => one.id !== at.id && one.name === parsed.data.name);
  const isName = parsed.data.type === "CNAME";
  // RFC 1034, 3.6.2: a CNAME stands alone.
  if (others.some((one) => isName || one.type === "CNAME"))
    return refuse(c, 400, 81053, "An A, AAAA, or CNAME record with that host already exists.");
  const record = { ...parsed.data, id: at.id, zone: at.zone };
  records.set(at.id, record);
  return result(c, view(record));
}

function view({ zone: _, ...record }: DnsRecord) {
  const at = "2026-01-01T00:00:00Z";
  return {
    ...record,
    comment: record.comment ?? null,
    proxiable: true,
    settings: {},
    meta: {},
    created_on: at,
    modified_on: at,
  };
}

function idOf(text: string): string {
  return createHash("md5").update(text).digest("hex");
}

function result(c: Context, value: unknown) {
  return c.json({ success: true, errors: [], messages: [], result: value });
}

function list(c: Context, values: readonly unknown[]) {
  const page = Number(c.req.query("page") ?? 1);
  const all = page === 1 ? values : [];
  const info = { page, per_page: 100, count: all.length, total_count: values.length, total_pages: 1 };
  return c.json({ success: true, errors: [], messages: [], result: all, result_info: info });
}

function refuse(c: Context, status: number, code: number, message: string) {
  const body = { success: false, errors: [{ code, message }], messages: [], result: null };
  return c.body(JSON.stringify(body), status as 400, { "content-type": "application/json" });
}
