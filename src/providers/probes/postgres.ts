import { z } from "zod";
import type { Failure, Outcome } from "../../checks/model.ts";
import { defineProbe, type ProbeContext } from "../../checks/probe-kind.ts";
import { hostAndPort } from "./connect.ts";
import { type Conversation, converse, Ended, type Observed } from "./conversation.ts";
import { checkEndpoint, type Endpoint, endpointFields, endpointOf, type Scheme } from "./endpoint.ts";
import { type Session, withSession } from "./postgres/session.ts";
import { type Encryption, encrypt, knock, refusal, TERMINATE } from "./postgres/wire.ts";

const SCHEME: Scheme = {
  protocols: {
    "postgres:": { tls: false, port: 5432 },
    "postgresql:": { tls: false, port: 5432 },
  },
  plain: "postgres:",
};

const settings = z
  .strictObject({
    ...endpointFields,
    database: z.string().min(1).max(63).optional(),
    /** One `select`; the first column of its first row is its answer. */
    query: z.string().min(1).max(10_000).optional(),
    /** What that must be, as text. */
    expect: z.union([z.string(), z.number(), z.boolean()]).optional(),
    role: z.enum(["primary", "standby"]).optional(),
    /** Standbys that a primary must have. */
    standbys: z.int().min(0).max(1_000).default(0),
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

type PostgresSettings = z.infer<typeof settings>;

export const postgres = defineProbe<PostgresSettings>({
  type: "postgres",
  settings,
  subject: (given) => `postgres://${hostAndPort(endpointOf(given, SCHEME))}`,
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
  given: PostgresSettings,
  endpoint: Endpoint,
  context: ProbeContext,
): Promise<Outcome> {
  const { where } = conversation;
  const hasCredentials = endpoint.username !== null || endpoint.password !== null;
  const { query, role, standbys, lagWarnMs, lagDownMs } = given;
  if (!hasCredentials && (query ?? role ?? lagWarnMs ?? lagDownMs ?? (standbys || undefined)) !== undefined)
    return {
      status: "down",
      failure: { class: "unsupported", message: `${where} tells this only to a user: name one.` },
    };
  const encrypted = await encrypt(conversation, endpoint.host, encryptionOf(given, endpoint));
  const user = endpoint.username ?? "postgres";
  const database = given.database ?? (endpoint.path || user);
  if (!hasCredentials) return await withoutCredentials(conversation, { user, database, encrypted });
  return await withSession(conversation, { ...endpoint, user, database }, context, async (session) => {
    const problem = query === undefined ? null : await queryProblem(session, query, given.expect);
    const facts = await session.last(FACTS);
    const outcome = judge(where, facts, { given, encrypted });
    if (problem === null || outcome.status === "down") return outcome;
    return {
      ...outcome,
      status: "down",
      failure: { class: "assertion", message: `${where}: ${problem}.` },
    };
  });
}

/** Who asks who we are takes connections: that is as far as we come. */
async function withoutCredentials(
  conversation: Conversation,
  { user, database, encrypted }: { user: string; database: string; encrypted: boolean },
): Promise<Outcome> {
  const welcome = await knock(conversation, user, database);
  if ("authentication" in welcome) {
    conversation.write(TERMINATE);
    return { status: "up", observed: { authentication: welcome.authentication, encrypted } };
  }
  // That this user or database is not for us is no fault of its own.
  if (/^(28|3D)/.test(welcome.code))
    return { status: "up", observed: { authentication: "refused", encrypted } };
  throw new Ended(refusal(conversation.where, welcome.code, welcome.text), { encrypted });
}

/** As clients mean `sslmode`; the machine's own authorities, where it has to be verified. */
function encryptionOf(given: PostgresSettings, endpoint: Endpoint): Encryption {
  if (given.tls !== undefined) return endpoint.tls;
  const mode = endpoint.query.get("sslmode");
  if (mode === "disable") return null;
  if (mode === "require" || mode === "no-verify") return { insecure: true };
  if (mode === "verify-ca" || mode === "verify-full" || endpoint.query.get("ssl") === "true") return {};
  return "prefer";
}

/** A cursor: of a long answer only one row is read. */
async function queryProblem(session: Session, query: string, expected: PostgresSettings["expect"]) {
  await session.query(`declare asked no scroll cursor for ${query}`);
  const rows = await session.query("fetch 1 from asked");
  if (expected === undefined) return null;
  const [row] = rows;
  if (row === undefined) return "the query answers with no row";
  const value = Object.values(row)[0];
  // Never the value: it may be anybody's.
  return String(value) === String(expected) ? null : "the query answers with another value than expected";
}

/**
 * Without rights the view of activity shows others' rows without their kind. The age of the last transaction says
 * how far a standby is behind only while something is missing: an idle primary writes none.
 */
const FACTS = `
  select pg_is_in_recovery() as standby,
    current_setting('server_version') as version,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
      - coalesce(current_setting('reserved_connections', true)::int, 0) as most,
    (select count(*)::int from pg_stat_activity
      where datid is not null and coalesce(backend_type, 'client backend') = 'client backend') as used,
    (select count(*)::int from pg_stat_replication where state is distinct from 'backup') as standbys,
    exists (select from pg_stat_wal_receiver) as receiving,
    pg_is_in_recovery() and pg_last_wal_receive_lsn() is not null as streamed,
    case
      when not pg_is_in_recovery() then
        (select (extract(epoch from max(replay_lag)) * 1000)::float8 from pg_stat_replication)
      when exists (select from pg_stat_wal_receiver) and pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
      else (extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::float8
    end as lag`;

type Facts = {
  readonly standby: boolean;
  readonly version: string;
  readonly most: number;
  readonly used: number;
  readonly standbys: number;
  readonly receiving: boolean;
  readonly streamed: boolean;
  readonly lag: number | null;
};

type Judging = { readonly given: PostgresSettings; readonly encrypted: boolean };

function judge(where: string, row: Record<string, unknown> | string, judging: Judging): Outcome {
  const { given, encrypted } = judging;
  if (typeof row === "string") {
    const asked = given.role ?? given.lagWarnMs ?? given.lagDownMs;
    const observed = { encrypted, factsAllowed: false };
    // Another product that speaks the protocol.
    if (asked === undefined && given.standbys === 0) return { status: "up", observed };
    const message = `${where} does not tell its role and replication (${row}).`;
    return { status: "down", failure: { class: "unsupported", message }, observed };
  }
  const facts = row as Facts;
  const role = facts.standby ? "standby" : "primary";
  const lagMs = facts.lag === null ? null : Math.max(0, Math.round(facts.lag));
  const observed: Observed = {
    version: facts.version,
    role,
    encrypted,
    connections: facts.used,
    connectionsMax: facts.most,
    standbys: facts.standbys,
    ...(lagMs === null ? {} : { lagMs }),
    ...(facts.standby ? { receiving: facts.receiving } : {}),
  };
  const found = problemOf(where, facts, { given, role, lagMs });
  return found === null ? { status: "up", observed } : { ...found, observed };
}

type Problem = { readonly status: "degraded" | "down"; readonly failure: Failure };
type Seen = { readonly given: PostgresSettings; readonly role: string; readonly lagMs: number | null };

function problemOf(where: string, facts: Facts, { given, role, lagMs }: Seen): Problem | null {
  const found = (status: Problem["status"], name: Failure["class"], what: string): Problem => ({
    status,
    failure: { class: name, message: `${where} ${what}.` },
  });
  if (given.role !== undefined && given.role !== role)
    return found("down", "assertion", `is a ${role}, and should be a ${given.role}`);
  const behind = `${facts.standby ? "is" : "has a standby that is"} ${lagMs} ms behind`;
  // A primary whose standby is behind serves all the same.
  if (lagMs !== null && given.lagDownMs !== undefined && lagMs >= given.lagDownMs)
    return found(facts.standby ? "down" : "degraded", "assertion", `${behind}, limit ${given.lagDownMs} ms`);
  if (facts.standby && facts.streamed && !facts.receiving)
    return found("degraded", "missing", "is a standby that has lost its primary");
  if (lagMs !== null && given.lagWarnMs !== undefined && lagMs >= given.lagWarnMs)
    return found("degraded", "assertion", `${behind}, limit ${given.lagWarnMs} ms`);
  if (!facts.standby && facts.standbys < given.standbys)
    return found("degraded", "missing", `has ${facts.standbys} standbys of ${given.standbys}`);
  if (facts.used >= facts.most * given.connectionsWarn)
    return found("degraded", "overloaded", `uses ${facts.used} of ${facts.most} connections`);
  return null;
}
