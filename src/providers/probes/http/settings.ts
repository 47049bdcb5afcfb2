import { z } from "zod";
import { parseJsonAssertion } from "./json-path.ts";

/** Source: RFC 9110, 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** The framing is ours: what a header says of it must not differ from what is sent. */
const OURS = new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "x-signalbox-probe",
]);

const headerName = z
  .string()
  .max(256)
  .regex(TOKEN, { error: "is no header name" })
  .refine((name) => !OURS.has(name.toLowerCase()), { error: "is a header that the probe sets itself" });

/** ISO 8859-1 without control characters (RFC 9110, 5.5). */
export const headerValue = z
  .string()
  .max(8_192)
  .regex(/^[\t\x20-\x7e\x80-\xff]*$/, {
    error: "holds a character that a header cannot carry",
  });

export const requestHeaders = z.record(headerName, headerValue).default({});

/** Credentials belong in a header, whose value may be a secret's name: an address is shown and logged. */
export function address(...protocols: readonly string[]) {
  return z
    .string()
    .max(4_096)
    .superRefine((text, { addIssue }) => {
      const url = URL.parse(text);
      if (url === null || !protocols.includes(url.protocol) || url.hostname === "")
        addIssue({ code: "custom", message: `is no address that begins with ${protocols.join("// or ")}//` });
      else if (url.username !== "" || url.password !== "")
        addIssue({ code: "custom", message: "has a user in it: send an authorization header instead" });
    });
}

export const pattern = z.string().min(1).max(512).refine(compiles, { error: "is no regular expression" });

function compiles(text: string): boolean {
  try {
    return new RegExp(text, "u") instanceof RegExp;
  } catch {
    return false;
  }
}

const status = z.union([
  z.int().min(200).max(599),
  z.string().regex(/^[2-5]\d\d-[2-5]\d\d$/, { error: "is no range such as 200-299" }),
]);

const jsonAssertion = z
  .string()
  .max(1_024)
  .superRefine((text, { addIssue }) => {
    const parsed = parseJsonAssertion(text);
    if (typeof parsed === "string") addIssue({ code: "custom", message: parsed });
  });

/** PEM of the authorities that are trusted instead of the machine's own. */
export const authorities = z
  .string()
  .max(262_144)
  .regex(/-----BEGIN CERTIFICATE-----/, { error: "is no certificate in PEM" });

const text = z.string().min(1).max(4_096);

export const httpSettings = z.strictObject({
  url: address("http:", "https:"),
  method: z.enum(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]).default("GET"),
  headers: requestHeaders,
  body: z.string().max(65_536).optional(),
  expect: z
    .strictObject({
      /** One, a range, or several of them. */
      status: z.union([status, z.array(status).min(1).max(20)]).default("200-299"),
      /** Texts that the body must have in it. */
      contains: z.union([text, z.array(text).max(20)]).optional(),
      /** Texts that it must not have in it. */
      lacks: z.union([text, z.array(text).max(20)]).optional(),
      /** A regular expression that must match somewhere in the first 64 KiB of the body. */
      matches: pattern.optional(),
      /** See json-path.ts. */
      json: z.union([jsonAssertion, z.array(jsonAssertion).max(20)]).optional(),
      /** Exactly this value, or one that a pattern matches. */
      headers: z.record(z.string(), z.union([headerValue, z.strictObject({ matches: pattern })])).optional(),
    })
    .prefault({}),
  /** How many redirects are followed. None: they are answers like others. */
  follow: z.int().min(0).max(10).default(0),
  maxBytes: z.int().min(0).max(16_777_216).default(1_048_576),
  /** Degraded once the certificate is good for less than so many days. 0: never. */
  certificateDays: z.int().min(0).max(365).default(14),
  ca: authorities.optional(),
  /** Any certificate will do. */
  insecure: z.boolean().default(false),
});
export type HttpSettings = z.output<typeof httpSettings>;
