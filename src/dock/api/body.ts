import type { Context } from "hono";
import type { z } from "zod";
import { AppError } from "../../foundation/errors.ts";

const MIB = 2 ** 20;

/**
 * The JSON body, checked. @param options.maxBytes default 1 MiB.
 * @throws AppError `bad_request` with every problem, or `too_large`.
 */
export async function readBody<S extends z.ZodType>(
  c: Context,
  schema: S,
  options: { maxBytes?: number } = {},
): Promise<z.infer<S>> {
  const text = await readText(c, options.maxBytes ?? MIB);
  let value: unknown;
  try {
    value = text === "" ? {} : JSON.parse(text);
  } catch (cause) {
    throw new AppError("bad_request", "The body is not valid JSON.", {
      hint: "Send a JSON object with the header content-type: application/json.",
      cause,
    });
  }
  return check(schema, value, "body");
}

export function readQuery<S extends z.ZodType>(c: Context, schema: S): z.infer<S> {
  return check(schema, c.req.query(), "query");
}

function check<S extends z.ZodType>(schema: S, value: unknown, where: string): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.slice(0, 20).map((issue) => {
    const path = issue.path.join(".");
    return path === "" ? issue.message : `${path}: ${issue.message}`;
  });
  throw new AppError("bad_request", `The ${where} is not valid. ${problems.join("; ")}`, {
    details: problems,
  });
}

/** Counted while it arrives: a `Content-Length` may be missing or untrue. */
async function readText(c: Context, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of c.req.raw.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) {
      throw new AppError("too_large", `The body is larger than ${maxBytes} bytes.`, {
        details: { maxBytes },
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
