import type { Document } from "mongodb";
import { z } from "zod";
import type { Failure, Outcome } from "../../checks/model.ts";
import { defineProbe, type ProbeContext } from "../../checks/probe-kind.ts";
import { hostAndPort } from "./connect.ts";
import { connectionFailure } from "./connection-failure.ts";
import { converse, Ended, type Observed } from "./conversation.ts";
import {
  checkEndpoint,
  type Endpoint,
  type EndpointSettings,
  endpointFields,
  endpointOf,
  type Scheme,
} from "./endpoint.ts";
import { askHello, type Hello, observedOf, type Role, roleOf } from "./mongodb/hello.ts";
import { logIn, type Told } from "./mongodb/log-in.ts";

const SCHEME: Scheme = { protocols: { "mongodb:": { tls: false, port: 27_017 } }, plain: "mongodb:" };

const settings = z
  .strictObject({
    ...endpointFields,
    role: z.enum(["primary", "secondary", "arbiter", "standalone", "mongos"]).optional(),
    /** Degraded from here on. An idle primary writes every 10 s, so less would be met by chance. */
    lagWarnMs: z.int().min(1_000).max(86_400_000).default(30_000),
    /** Share of the connections that it takes from which it is degraded. */
    connectionsWarn: z.number().positive().max(1).default(0.9),
  })
  .superRefine((given, context) => {
    const problems = membersOf(given).map((member) => checkEndpoint(SCHEME)(member, context));
    if (problems.length > MOST_MEMBERS)
      context.addIssue({ code: "custom", path: ["url"], message: `names more than ${MOST_MEMBERS} hosts` });
  });

/** Of a replica set. */
const MOST_MEMBERS = 50;

type MongodbSettings = z.infer<typeof settings>;

/** `hello` on a connection of our own; with credentials, the rest by the official driver. */
export const mongodb = defineProbe<MongodbSettings>({
  type: "mongodb",
  settings,
  subject: (given) => `mongodb://${endpointsOf(given).map(hostAndPort).join(",")}`,
  host: (given) => endpointsOf(given)[0]?.host ?? null,
  run: async (given, context) => {
    const startedMs = context.clock.monotonicMs();
    const greeted = await greetAll(endpointsOf(given), context);
    const chosen = choose(greeted, given.role);
    const { hello, endpoint, outcome } = chosen;
    if (hello === null) return outcome;
    const { username, password } = endpoint;
    const unwell = judgeHello(hello, hostAndPort(endpoint), given.role);
    let judged: Outcome = unwell ?? { status: "up", observed: observedOf(hello) };
    // An arbiter holds no data, and so no users.
    if (judged.status !== "down" && username !== null && password !== null && roleOf(hello) !== "arbiter") {
      const leftMs = context.timeoutMs - (context.clock.monotonicMs() - startedMs);
      const asked = { endpoint, username, password, leftMs, isInSet: hello.setName !== undefined };
      judged = await logIn(asked, context).then(
        (told) => judgeTold(told, { hello, where: hostAndPort(endpoint), given, unwell }),
        (error: unknown) => failed(error, hostAndPort(endpoint), observedOf(hello)),
      );
    }
    const absent = greeted.find((each) => each.hello === null)?.outcome.failure;
    if (judged.status === "up" && absent !== undefined)
      judged = degraded(missingMember(absent), judged.observed);
    return { ...judged, ...(outcome.phases === undefined ? {} : { phases: outcome.phases }) };
  },
});

/** A URL that names several members of a set as one for each. */
function membersOf(given: EndpointSettings): EndpointSettings[] {
  const found = /^(mongodb:\/\/(?:[^@/]*@)?)([^/?@]+)(.*)$/s.exec(given.url ?? "");
  const [, before = "", hosts = "", after = ""] = found ?? [];
  if (found === null) return [given];
  return hosts.split(",").map((host) => ({ ...given, url: `${before}${host}${after}` }));
}

function endpointsOf(given: MongodbSettings): Endpoint[] {
  return membersOf(given).map((member) => {
    const endpoint = endpointOf(member, SCHEME);
    const wantsTls = [endpoint.query.get("tls"), endpoint.query.get("ssl")].includes("true");
    return endpoint.tls === null && given.tls === undefined && wantsTls ? { ...endpoint, tls: {} } : endpoint;
  });
}

type Greeted = { readonly endpoint: Endpoint; readonly outcome: Outcome; readonly hello: Hello | null };

/** Of several each has half of the time, so that a dead one leaves enough to ask the one that is chosen. */
async function greetAll(endpoints: readonly Endpoint[], context: ProbeContext): Promise<Greeted[]> {
  const ending = new AbortController();
  const limit = endpoints.length > 1 ? context.timeoutMs / 2 : context.timeoutMs;
  const timer = setTimeout(() => ending.abort(), limit);
  const within = { ...context, signal: AbortSignal.any([context.signal, ending.signal]) };
  const greet = async (endpoint: Endpoint): Promise<Greeted> => {
    let hello: Hello | null = null;
    const outcome = await converse(endpoint, within, async (conversation) => {
      hello = await askHello(conversation);
      return { status: "up" };
    });
    return { endpoint, outcome, hello };
  };
  try {
    return await Promise.all(endpoints.map(greet));
  } finally {
    clearTimeout(timer);
  }
}

const PREFERRED: readonly Role[] = ["primary", "mongos", "standalone", "secondary", "arbiter", "recovering"];

function choose(greeted: readonly Greeted[], role: Role | undefined): Greeted {
  const wanted = role === undefined ? PREFERRED : [role, ...PREFERRED];
  const found = wanted
    .map((each) => greeted.find(({ hello }) => hello !== null && roleOf(hello) === each))
    .find((each) => each !== undefined);
  return found ?? (greeted[0] as Greeted);
}

/** Null: nothing is wrong with it. */
function judgeHello(hello: Hello, where: string, wanted: Role | undefined): Outcome | null {
  const [role, observed] = [roleOf(hello), observedOf(hello)];
  const down = (failure: Failure): Outcome => ({ status: "down", failure, observed });
  if (role === "recovering")
    return down({ class: "starting", message: `${where} is neither primary nor secondary: it recovers.` });
  if (wanted !== undefined && role !== wanted)
    return down({ class: "assertion", message: `${where} is a ${role}, and should be a ${wanted}.` });
  if (role === "secondary" && hello.primary === undefined)
    return degraded(
      { class: "missing", message: `${where} knows no primary: nothing can be written.` },
      observed,
    );
  return null;
}

type Asked = {
  readonly hello: Hello;
  readonly where: string;
  readonly given: MongodbSettings;
  readonly unwell: Outcome | null;
};

function judgeTold({ server, set }: Told, { hello, where, given, unwell }: Asked): Outcome {
  const [current, available] = [Number(server?.connections?.current), Number(server?.connections?.available)];
  const lagMs = set === null ? null : lagOf(set);
  const observed: Observed = {
    ...observedOf(hello),
    statusAllowed: server !== null,
    ...(server === null
      ? {}
      : { version: String(server.version), connections: current, connectionsLeft: available }),
    ...(lagMs === null ? {} : { replicationLagMs: lagMs }),
  };
  if (unwell !== null) return { ...unwell, observed };
  const share = current / (current + available);
  if (share >= given.connectionsWarn) {
    const message = `${where} has ${current} connections of the ${current + available} that it takes.`;
    return degraded({ class: "overloaded", message }, observed);
  }
  const absent = set === null ? [] : absentOf(set);
  if (absent.length > 0) {
    const message = `${where}: of its set ${absent.slice(0, 5).join(", ")} do not work.`;
    return degraded({ class: "missing", message }, observed);
  }
  if (lagMs !== null && lagMs >= given.lagWarnMs) {
    const message = `${where}: replication is ${lagMs} ms behind, and may be ${given.lagWarnMs} ms.`;
    return degraded({ class: "slow", message }, observed);
  }
  return { status: "up", observed };
}

/** Source: mongodb.com/docs/manual/reference/replica-states */
const [PRIMARY, SECONDARY, ARBITER] = [1, 2, 7];

/** Of a secondary its own, of a primary that of its last secondary. */
function lagOf(set: Document): number | null {
  const members: Document[] = Array.isArray(set.members) ? set.members : [];
  const timeOf = (member: Document | undefined) => (member?.optimeDate as Date | undefined)?.getTime();
  const primary = timeOf(members.find(({ state }) => state === PRIMARY));
  const isSecondary = set.myState === SECONDARY;
  const behind = members
    .filter(({ state, self }) => state === SECONDARY && (!isSecondary || self === true))
    .map(timeOf)
    .filter((time) => time !== undefined);
  if (primary === undefined || behind.length === 0) return null;
  return Math.max(0, primary - Math.min(...behind));
}

function absentOf(set: Document): string[] {
  const members: Document[] = Array.isArray(set.members) ? set.members : [];
  const works = ({ state, health }: Document) =>
    health !== 0 && [PRIMARY, SECONDARY, ARBITER].includes(Number(state));
  return members.filter((member) => !works(member)).map(({ name, stateStr }) => `${name} (${stateStr})`);
}

function degraded(failure: Failure, observed: Observed = {}): Outcome {
  return { status: "degraded", failure, observed };
}

function missingMember(failure: Failure): Failure {
  return { class: "missing", message: `A member of the set cannot be asked: ${failure.message}` };
}

function failed(error: unknown, where: string, observed: Observed): Outcome {
  const failure = error instanceof Ended ? error.failure : connectionFailure(error, where, "open");
  return { status: "down", failure, observed };
}
