import { Readable } from "node:stream";
import type { Context } from "./context.ts";

export async function putJson(context: Context, path: string, body: unknown): Promise<void> {
  const bytes = Buffer.from(JSON.stringify(body));
  const headers = { "content-type": "application/json" };
  await context.api().put(path, { size: bytes.length, open: () => Readable.from([bytes]) }, { headers });
}
