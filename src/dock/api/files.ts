import { Readable } from "node:stream";
import { Hono } from "hono";
import { AppError } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";

/** Files by digest. Answers 200 exactly: the official client takes 201 for an error. */
export function fileRoutes(dock: Dock): Hono {
  const app = new Hono();
  app.post("/files", async (c) => {
    const digest = c.req.header("x-now-digest") ?? c.req.header("x-vercel-digest");
    if (digest === undefined) {
      throw new AppError("bad_request", "The file comes without its digest.", {
        hint: "Send its SHA-1 in the header x-now-digest or x-vercel-digest.",
      });
    }
    const body = c.req.raw.body;
    await dock.store.put(digest, body ? Readable.from(body) : new Uint8Array());
    return c.json({ urls: [] }, 200);
  });
  return app;
}
