import { isIP } from "node:net";
import { z } from "zod";
import { positiveDuration, text } from "./config-fields.ts";

const httpUrl = z.url({ protocol: /^https?$/ });
const count = z.number().int({ error: "must be a whole number" });

const hostname = text.regex(
  /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$/,
  {
    error: "is no host name: lower-case letters, digits and dashes, with dots between, no port",
  },
);

const cloudflare = z
  .strictObject({
    /** The zone's name (`example.com`) or its id. */
    zone: text,
    /** What the record holds while Vercel serves: a name for a CNAME, an address for an A or AAAA record. */
    primary: text,
    /** What it holds while the dock serves: how your gateway is reached. */
    standby: text,
    /** Seconds. Visitors keep the old answer for so long. */
    ttl: count.min(30).max(86_400).optional(),
    /** Served through Cloudflare's own network. */
    proxied: z.boolean().optional(),
  })
  .refine(({ primary, standby }) => isIP(primary) === isIP(standby), {
    error: "has a primary and a standby of two kinds; both must be names, or both addresses of one family",
  });

/** How the hostname is moved. */
const hostnameSwitch = z
  .strictObject({
    cloudflare: cloudflare.optional(),
    /** Any other DNS: a program of yours that is called, signed. */
    webhook: z.strictObject({ url: httpUrl }).optional(),
  })
  .refine((given) => (given.cloudflare === undefined) !== (given.webhook === undefined), {
    error: "names not exactly one of cloudflare and webhook",
  });

const settings = z
  .strictObject({
    to: z.literal("dock"),
    /** What visitors open. Left out: the standby is kept ready, and moving people there is left to you. */
    hostname: hostname.optional(),
    /** The hostname's address as visitors open it. Default: https:// and the hostname. */
    url: httpUrl.optional(),
    switch: hostnameSwitch.optional(),
    /** Switch without being asked. Default false. */
    automatic: z.boolean().optional(),
    probe: z
      .strictObject({
        interval: positiveDuration.optional(),
        timeout: positiveDuration.optional(),
        /** The release at the platform's own address. Default: what the platform gave it (`shop.vercel.app`). */
        primary: httpUrl.optional(),
        /** Addresses elsewhere: when none of them answers, it is we who are cut off. */
        witnesses: z.array(httpUrl).max(5, { error: "has more than 5 addresses" }).optional(),
        /** Statuspage's `summary.json` of the platform. */
        status_page: httpUrl.optional(),
      })
      .optional(),
    /** The platform counts as away after so many failed looks in a row, over at least so long. */
    away: z
      .strictObject({ failures: count.min(1).max(1_000).optional(), for: positiveDuration.optional() })
      .optional(),
    /** It counts as back after so many good looks in a row, over at least so long. */
    recovered: z
      .strictObject({ successes: count.min(1).max(1_000).optional(), for: positiveDuration.optional() })
      .optional(),
    /** Between two automatic switches. */
    min_interval: positiveDuration.optional(),
    /** Switches within 24 hours, after which it is left to people. */
    max_per_day: count.min(1).max(100).optional(),
  })
  .refine((given) => given.automatic !== true || given.switch !== undefined, {
    error: "is automatic, but names no switch: add switch: { cloudflare: … } or { webhook: … }",
  })
  .refine((given) => given.switch === undefined || given.hostname !== undefined, {
    error: "names a switch, but no hostname that it would move",
  });

export const failover = z.union([z.literal("dock"), settings]);
