import { z } from "zod";
import type { Failure, Outcome, Phases } from "../../../checks/model.ts";
import type { ProbeContext } from "../../../checks/probe-kind.ts";
import { hostAndPort, type Target } from "../connect.ts";
import { type Answer, askOnce, isAnswer } from "./ask.ts";
import { headOf } from "./hop.ts";
import { authorities, requestHeaders } from "./settings.ts";

/** Fields of what is asked over HTTP for a document of a known shape. */
export const askedFields = {
  headers: requestHeaders,
  ca: authorities.optional(),
  /** Any certificate will do. */
  insecure: z.boolean().default(false),
};

export type JsonAsked = {
  readonly url: URL;
  /** Default GET. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly ca?: string | undefined;
  readonly insecure?: boolean | undefined;
  /** Default 4 MiB. */
  readonly maxBytes?: number;
};

/** A whole answer of any status. */
export type JsonAnswer = {
  readonly where: string;
  readonly httpStatus: number;
  readonly text: string;
  /** Undefined: the body is no JSON. */
  readonly json: unknown;
  readonly phases: Phases;
  readonly address: string;
};

const MAX_BYTES = 4 * 1_048_576;

/** Asks once; a redirect is an answer, since what is sent along may be a credential. Never rejects. */
export async function askJson(asked: JsonAsked, context: ProbeContext): Promise<JsonAnswer | Outcome> {
  const target = targetOf(asked);
  return jsonOf(await askOnce(target, requestOf(asked), context), hostAndPort(target));
}

export function isJsonAnswer(result: JsonAnswer | Outcome): result is JsonAnswer {
  return "httpStatus" in result;
}

export function jsonOf(answer: Answer | Outcome, where: string): JsonAnswer | Outcome {
  if (!isAnswer(answer)) return answer;
  const text = answer.body.toString("utf8");
  const { phases, address } = answer;
  return { where, httpStatus: answer.head.status, text, json: parsed(text), phases, address };
}

export function requestOf({ url, method = "GET", headers = {}, maxBytes = MAX_BYTES }: JsonAsked) {
  return { method, head: headOf({ url, method, headers, body: null }), body: null, maxBytes, keepBody: true };
}

function targetOf({ url, ca, insecure }: JsonAsked): Target {
  const isSecure = url.protocol === "https:" || url.protocol === "wss:";
  const tls = isSecure ? { ca, insecure, alpn: ["http/1.1"] } : null;
  return { host: url.hostname, port: Number(url.port || (isSecure ? 443 : 80)), tls };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a status other than 200 says of an API that takes credentials. */
export function refusedBy({ where, httpStatus }: Pick<JsonAnswer, "where" | "httpStatus">): Failure {
  if (httpStatus === 401 || httpStatus === 403)
    return { class: "auth", message: `${where} does not take the credentials (status ${httpStatus}).` };
  if (httpStatus === 429)
    return { class: "overloaded", message: `${where} turns us away for asking too often (status 429).` };
  return { class: "status", message: `${where} answered with status ${httpStatus}.` };
}
