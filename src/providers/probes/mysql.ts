import { z } from "zod";
import type { Failure, Outcome } from "../../checks/model.ts";
import { defineProbe, type ProbeContext } from "../../checks/probe-kind.ts";
import { hostAndPort } from "./connect.ts";
import { type Conversation, converse, Ended, type Observed } from "./conversation.ts";
import { checkEndpoint, type Endpoint, endpointFields, endpointOf, type Scheme } from "./endpoint.ts";
import { type Row, type Session, withSession } from "./mysql/session.ts";
import { type Encryption, encrypt, greeting, introduce, NOT_FOR_US, refusal } from "./mysql/wire.ts";

const SCHEME: Scheme = {
  protocols: { "mysql:": { tls: false, port: 3306 }, "mariadb:": { tls: false, port: 3306 } },
  plain: "mysql:",
};

const settings = z
  .strictObject({
    ...endpointFields,
    database: z.string().min(1).max(64).optional(),
    /** One statement that reads; the first column of its first row is its answer. */
    query: z
      .string()
      .max(10_000)
      .regex(/^[\s(]*(select|with|show|values|table)\b/i, { error: "begins with no word that reads" })
      .optional(),
    /** What that must be, as text. */
    expect: z.union([z.string(), z.number(), z.boolean()]).optional(),
    role: z.enum(["primary", "replica"]).optional(),
    lagWarnMs: z.int().positive().optional(),
    lagDownMs: z.int().positive().optional(),
    /** Share of the connections from which it is degraded. */
    connectionsWarn: z.number().positive().max(1).default(0.9),
  })
  .superRefine(checkEndpoint(SCHEME))
  .superRefine(({ url, database, query, expect }, context) => {
    if (url !== undefined && database !== undefined)
      context.addIssue({ code: "custom", path: ["database"], message: "is already named by the url" });
    if (expect !== undefined && query === undefined)
      context.addIssue({ code: "custom", path: ["expect"], message: "needs a query" });
  });

type MysqlSettings = z.infer<typeof settings>;

export const mysql = defineProbe<MysqlSettings>({
  type: "mysql",
  settings,
  subject: (given) => `mysql://${hostAndPort(endpointOf(given, SCHEME))}`,
  host: (given) => endpointOf(given, SCHEME).host,
  run: (given, context) => {
    const endpoint = endpointOf(given, SCHEME);
    // Its TLS begins within its own protocol.
    return converse({ ...endpoint, tls: null }, context, (conversation) =>
      ask(conversation, given, endpoint, context),
    );
  },
});

async function ask(
  conversation: Conversation,
  given: MysqlSettings,
  endpoint: Endpoint,
  context: ProbeContext,
): Promise<Outcome> {
  const { where } = conversation;
  const encryption = encryptionOf(given, endpoint);
  if (endpoint.username === null && endpoint.password === null) {
    if ((given.query ?? given.role ?? given.lagWarnMs ?? given.lagDownMs) === undefined)
      return await withoutCredentials(conversation, endpoint.host, encryption);
    const message = `${where} tells this only to a user: name one.`;
    return { status: "down", failure: { class: "unsupported", message } };
  }
  const login = { ...endpoint, encryption, database: given.database ?? endpoint.path };
  return await withSession(conversation, login, context, async (session) => {
    await prepare(
      session,
      Math.max(1, Math.floor(context.timeoutMs - conversation.elapsedMs() - HEAD_START_MS)),
    );
    const problem = given.query === undefined ? null : await queryProblem(session, given.query, given.expect);
    const outcome = judge(where, await factsOf(session), given);
    if (problem === null || outcome.status === "down") return outcome;
    const failure: Failure = { class: "assertion", message: `${where}: ${problem}.` };
    return { ...outcome, status: "down", failure };
  });
}

/** So much earlier than we the server gives up by itself. */
const HEAD_START_MS = 50;

/** Who greets and says who may come in takes connections. */
async function withoutCredentials(
  conversation: Conversation,
  host: string,
  wanted: Encryption,
): Promise<Outcome> {
  const { where } = conversation;
  const greeted = await greeting(conversation);
  if ("code" in greeted) {
    if (!NOT_FOR_US.has(greeted.code)) throw new Ended(refusal(where, greeted.code));
    return { status: "up", observed: { lets: "not from here" } };
  }
  const { offersTls, version } = greeted;
  const encrypted = await encrypt(conversation, host, { offersTls, wanted });
  const observed: Observed = { version, encrypted };
  const refused = await introduce(conversation, encrypted);
  if (refused !== null && !NOT_FOR_US.has(refused.code))
    throw new Ended(refusal(where, refused.code), observed);
  return { status: "up", observed };
}

/** As clients mean `ssl-mode`; the machine's own authorities, where it has to be verified. */
function encryptionOf(given: MysqlSettings, endpoint: Endpoint): Encryption {
  if (given.tls !== undefined) return endpoint.tls;
  const mode = (endpoint.query.get("ssl-mode") ?? endpoint.query.get("sslmode") ?? "").toLowerCase();
  if (mode === "disabled" || mode === "disable") return null;
  if (mode === "required" || mode === "require") return { insecure: true };
  return mode.startsWith("verify") ? {} : "prefer";
}

/** Nothing can be written from here on, nothing runs longer than we wait, and of a long answer one row is read. */
async function prepare(session: Session, limitMs: number): Promise<void> {
  const limit = /mariadb/i.test(session.version)
    ? `set session max_statement_time = ${limitMs / 1_000}`
    : `set session max_execution_time = ${limitMs}`;
  // 1193: a version without such a limit.
  await session.attempt(limit, [1193]);
  await session.query("set session sql_select_limit = 1");
  await session.query("start transaction read only");
}

async function queryProblem(session: Session, query: string, expected: MysqlSettings["expect"]) {
  const [row] = await session.query(query);
  if (expected === undefined) return null;
  if (row === undefined) return "the query answers with no row";
  // Never the value: it may be anybody's.
  return String(Object.values(row)[0]) === String(expected)
    ? null
    : "the query answers with another value than expected";
}

type Facts = {
  readonly version: string;
  readonly encrypted: boolean;
  readonly most: number;
  readonly used: number;
  readonly readOnly: boolean;
  /** Null: it is nobody's replica. A number: the error of a user who may not ask that. */
  readonly replica: Row | null | number;
};

async function factsOf(session: Session): Promise<Facts> {
  const [limits] = await session.query("select @@max_connections as most, @@read_only as readOnly");
  const [threads] = await session.query("show global status like 'Threads_connected'");
  // Each product and version knows one of the two; 1064: not this one.
  const named = await session.attempt("show replica status", [1064, 1227, 1142]);
  const answered = named === 1064 ? await session.attempt("show slave status", [1227, 1142]) : named;
  return {
    version: session.version,
    encrypted: session.encrypted,
    most: Number(limits?.most),
    used: Number(threads?.Value),
    readOnly: !/^(0|OFF)$/i.test(String(limits?.readOnly)),
    replica: typeof answered === "number" ? answered : (answered[0] ?? null),
  };
}

type Replication = { readonly io: string; readonly sql: string; readonly lagMs: number | null };

/** The columns have been renamed over the years. */
function replicationOf(row: Row): Replication {
  const column = (name: RegExp) => Object.entries(row).find(([key]) => name.test(key))?.[1] ?? null;
  const behind = column(/^Seconds_Behind_(Source|Master)$/);
  return {
    io: String(column(/^(Replica|Slave)_IO_Running$/)),
    sql: String(column(/^(Replica|Slave)_SQL_Running$/)),
    lagMs: behind === null ? null : Number(behind) * 1_000,
  };
}

type Found = { readonly status: "degraded" | "down"; readonly failure: Failure };

function judge(where: string, facts: Facts, given: MysqlSettings): Outcome {
  const { version, encrypted, used, most, readOnly, replica } = facts;
  const replication = replica === null || typeof replica === "number" ? null : replicationOf(replica);
  const role = typeof replica === "number" ? null : replica === null ? "primary" : "replica";
  const observed: Observed = {
    version,
    encrypted,
    connections: used,
    connectionsMax: most,
    readOnly,
    ...(role === null ? { replicationAllowed: false } : { role }),
    ...(replication === null ? {} : { ioRunning: replication.io, sqlRunning: replication.sql }),
    ...(replication === null || replication.lagMs === null ? {} : { lagMs: replication.lagMs }),
  };
  const found =
    replicationProblem(where, { role, replication }, given) ??
    (used >= most * given.connectionsWarn
      ? problem("degraded", "overloaded", `${where} uses ${used} of ${most} connections.`)
      : null);
  return found === null ? { status: "up", observed } : { ...found, observed };
}

type Replicating = { readonly role: string | null; readonly replication: Replication | null };

function replicationProblem(where: string, found: Replicating, given: MysqlSettings): Found | null {
  const { role, replication } = found;
  const { lagWarnMs, lagDownMs } = given;
  if (role === null && (given.role ?? lagWarnMs ?? lagDownMs) !== undefined) {
    const message = `${where} does not tell this user about replication: it needs REPLICATION CLIENT.`;
    return problem("down", "unsupported", message);
  }
  if (given.role !== undefined && role !== given.role)
    return problem("down", "assertion", `${where} is a ${role}, and should be a ${given.role}.`);
  if (replication === null) return null;
  const { io, sql, lagMs } = replication;
  const behind = `${where} is ${lagMs} ms behind`;
  if (lagMs !== null && lagDownMs !== undefined && lagMs >= lagDownMs)
    return problem("down", "assertion", `${behind}, limit ${lagDownMs} ms.`);
  if (io !== "Yes" || sql !== "Yes")
    return problem("degraded", "missing", `${where} does not replicate (IO: ${io}, SQL: ${sql}).`);
  if (lagMs !== null && lagWarnMs !== undefined && lagMs >= lagWarnMs)
    return problem("degraded", "assertion", `${behind}, limit ${lagWarnMs} ms.`);
  return null;
}

function problem(status: Found["status"], name: Failure["class"], message: string): Found {
  return { status, failure: { class: name, message } };
}
