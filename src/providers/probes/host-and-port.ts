import { z } from "zod";
import { authorities } from "./http/settings.ts";

/** A name or an address; what it is at is the guard's to judge. */
export const hostName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$|^\[?[0-9a-fA-F:.]+\]?$/, { error: "is no host" });

export const port = z.int().min(1).max(65_535);

/** Fields of what can be asked with or without TLS. */
export const securable = {
  tls: z.boolean().default(false),
  ca: authorities.optional(),
  /** Any certificate will do. */
  insecure: z.boolean().default(false),
};
