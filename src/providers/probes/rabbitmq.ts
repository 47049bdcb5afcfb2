import { z } from "zod";
import type { Failure, Outcome } from "../../checks/model.ts";
import { defineProbe, type ProbeContext } from "../../checks/probe-kind.ts";
import { hostAndPort } from "./connect.ts";
import { type Conversation, converse, Ended, type Observed } from "./conversation.ts";
import { checkEndpoint, type Endpoint, endpointFields, endpointOf, type Scheme } from "./endpoint.ts";
import { address } from "./http/settings.ts";
import { http } from "./http.ts";
import {
  Arguments,
  CONNECTION,
  FRAME_END,
  FRAME_HEADER_BYTES,
  longString,
  METHOD_FRAME,
  METHODS,
  methodFrame,
  PROTOCOL_HEADER,
  shortString,
  table,
  uint16,
  uint32,
  unfinishedMessage,
} from "./rabbitmq/frames.ts";

const SCHEME: Scheme = {
  protocols: { "amqp:": { tls: false, port: 5672 }, "amqps:": { tls: true, port: 5671 } },
  plain: "amqp:",
};

const settings = z
  .strictObject({
    ...endpointFields,
    /** Default: that of the URL, else `/`. */
    vhost: z.string().min(1).max(255).optional(),
    /** Base of the management API, which is asked for alarms with the same user and password. */
    management: address("http:", "https:").optional(),
  })
  .superRefine(checkEndpoint(SCHEME));

type RabbitmqSettings = z.infer<typeof settings>;

/** Opens a connection by AMQP 0-9-1 as a client would, and closes it as one should. */
export const rabbitmq = defineProbe<RabbitmqSettings>({
  type: "rabbitmq",
  settings,
  subject: (given) => `amqp://${hostAndPort(endpointOf(given, SCHEME))}`,
  host: (given) => endpointOf(given, SCHEME).host,
  run: async (given, context) => {
    const endpoint = endpointOf(given, SCHEME);
    const vhost = given.vhost ?? (endpoint.path || "/");
    const [outcome, alarm] = await Promise.all([
      converse(endpoint, context, (conversation) =>
        ask(conversation, endpoint, vhost).catch((error: unknown) => {
          // Of a method that is shorter than its arguments.
          throw error instanceof RangeError ? new Ended(noAmqp(conversation)) : error;
        }),
      ),
      given.management === undefined ? null : askAlarms(given.management, endpoint, context),
    ]);
    return outcome.status === "up" && alarm !== null
      ? { ...outcome, status: "degraded", failure: alarm }
      : outcome;
  },
});

async function ask(conversation: Conversation, endpoint: Endpoint, vhost: string): Promise<Outcome> {
  const observed = await greeting(conversation);
  const { username, password } = endpoint;
  // Who it is was not said, so nothing more is asked: a broker that greets has its listeners up, which it opens last.
  if (username === null || password === null) return { status: "up", observed };
  await logIn(conversation, { username, password, observed });
  conversation.write(methodFrame(METHODS.open, shortString(vhost), shortString(""), Buffer.of(0)));
  await expectMethod(conversation, METHODS.openOk, { awaited: "no vhost was opened", observed });
  const farewell = methodFrame(METHODS.close, uint16(200), shortString("done"), uint16(0), uint16(0));
  conversation.write(Buffer.concat([unfinishedMessage(), farewell]));
  const { method, given } = await nextMethod(conversation, "the connection was not closed");
  if (method === METHODS.closeOk) return { status: "up", observed };
  if (method === METHODS.close) throw new Ended(closed(conversation, given), observed);
  if (method !== METHODS.blocked) throw new Ended(noAmqp(conversation), observed);
  // It reads nothing more of us until the alarm is over, so nothing is waited for.
  const message = `${conversation.where} takes no messages from publishers: ${given.shortString()}.`;
  return { status: "degraded", failure: { class: "overloaded", message }, observed };
}

/** What the broker says of itself before anyone logged in. */
async function greeting(conversation: Conversation): Promise<Observed> {
  conversation.write(PROTOCOL_HEADER);
  const { method, given } = await nextMethod(conversation, "no greeting");
  if (method !== METHODS.start) throw new Ended(noAmqp(conversation));
  given.uint16();
  const properties = given.texts();
  return {
    product: properties.get("product") ?? null,
    version: properties.get("version") ?? null,
    cluster: properties.get("cluster_name") ?? null,
  };
}

const HEARTBEAT_S = 1;

type LogIn = { readonly username: string; readonly password: string; readonly observed: Observed };

async function logIn(conversation: Conversation, { username, password, observed }: LogIn): Promise<void> {
  const about = table({
    product: "Signalbox",
    // Without the first, a wrong password is told by nothing but the end of the connection.
    capabilities: { authentication_failure_close: true, "connection.blocked": true },
  });
  const plain = longString(`\0${username}\0${password}`);
  const mechanism = shortString("PLAIN");
  conversation.write(methodFrame(METHODS.startOk, about, mechanism, plain, shortString("en_US")));
  const awaited = "no answer to the user and password";
  const tune = await expectMethod(conversation, METHODS.tune, { awaited, observed });
  const [channels, frame] = [tune.uint16(), tune.uint32()];
  // A broker with an alarm reads nothing more, not even our end: only by a heartbeat of its own that fails to be sent
  // does it learn that we are gone. Without one, each attempt would leave it a connection until the alarm is over.
  conversation.write(methodFrame(METHODS.tuneOk, uint16(channels), uint32(frame), uint16(HEARTBEAT_S)));
}

type Expected = { readonly awaited: string; readonly observed: Observed };

async function expectMethod(conversation: Conversation, wanted: number, { awaited, observed }: Expected) {
  const { method, given } = await nextMethod(conversation, awaited);
  if (method === wanted) return given;
  if (method !== METHODS.close) throw new Ended(noAmqp(conversation), observed);
  const failure = closed(conversation, given);
  conversation.write(methodFrame(METHODS.closeOk));
  throw new Ended(failure, observed);
}

async function nextMethod(conversation: Conversation, awaited: string) {
  for (;;) {
    const head = await conversation.take(FRAME_HEADER_BYTES, awaited);
    // To a version that it does not speak, and without a frame around it, a broker answers with its own.
    if (head.toString("latin1", 0, 4) === "AMQP") throw new Ended(noAmqp(conversation));
    if (head.readUInt8() > 8) throw new Ended(noAmqp(conversation));
    const body = await conversation.take(head.readUInt32BE(3) + 1, awaited);
    if (body.at(-1) !== FRAME_END) throw new Ended(noAmqp(conversation));
    // Heartbeats, and what is said on the channel that the message was begun on.
    if (head.readUInt8() !== METHOD_FRAME || head.readUInt16BE(1) !== 0) continue;
    const given = new Arguments(body.subarray(0, -1));
    if (given.uint16() !== CONNECTION) throw new Ended(noAmqp(conversation));
    return { method: given.uint16(), given };
  }
}

function noAmqp({ where }: Conversation): Failure {
  return { class: "protocol", message: `${where}: what it answers is not AMQP 0-9-1.` };
}

const ACCESS_REFUSED = 403;
const CONNECTION_FORCED = 320;
const NOT_ALLOWED = 530;

/** Why a broker closed. Its texts are RabbitMQ's own: rabbit_reader.erl and rabbit_access_control.erl. */
function closed({ where }: Conversation, given: Arguments): Failure {
  const code = given.uint16();
  const text = given.shortString();
  if (code === CONNECTION_FORCED) return { class: "starting", message: `${where} is shutting down.` };
  if (code === ACCESS_REFUSED)
    return { class: "auth", message: `${where} does not take this user and password.` };
  if (/limit/.test(text))
    return { class: "overloaded", message: `${where} has as many connections as it takes.` };
  if (code === NOT_ALLOWED && /not found/.test(text))
    return { class: "missing", message: `${where} has no such vhost.` };
  if (/is down/.test(text)) return { class: "status", message: `${where}: the vhost is down.` };
  if (code === NOT_ALLOWED)
    return { class: "auth", message: `${where} does not let this user into the vhost.` };
  return { class: "status", message: `${where} closed the connection with the code ${code}.` };
}

/** Null: the whole cluster is without an alarm. */
async function askAlarms(base: string, { username, password }: Endpoint, context: ProbeContext) {
  const credentials = Buffer.from(`${username ?? ""}:${password ?? ""}`).toString("base64");
  const asked = http.settings.parse({
    url: `${base.replace(/\/+$/, "")}/api/health/checks/alarms`,
    headers: username === null ? {} : { authorization: `Basic ${credentials}` },
  });
  const { status, failure, observed } = await http.run(asked, context);
  if (status === "up" || failure === undefined) return null;
  if (observed?.status === 503)
    return { class: "overloaded", message: "A node of the cluster has a memory or disk alarm." } as const;
  if (observed?.status === 401)
    return { class: "auth", message: "The management API does not take this user and password." } as const;
  return { class: failure.class, message: `The management API: ${failure.message}` };
}
