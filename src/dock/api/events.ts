import { Hono } from "hono";
import { z } from "zod";
import type { LogEvent } from "../deployments/event-log.ts";
import { type DeploymentView, getDeployment } from "../deployments/queries.ts";
import type { Dock } from "../dock.ts";
import { readQuery } from "./body.ts";
import { jsonLines } from "./json-lines.ts";
import { hostsOf } from "./views.ts";

const Query = z.object({
  follow: z.string().optional(),
  format: z.string().optional(),
  limit: z.coerce.number().int().default(10_000),
  direction: z.string().optional(),
});

/** The log of a deployment: JSON lines with `follow=1` or `format=lines`, else one JSON array. */
export function eventRoutes(dock: Dock): Hono {
  const app = new Hono();
  app.get("/deployments/:id/events", async (c) => {
    const query = readQuery(c, Query);
    const row = await getDeployment(dock, c.req.param("id"));
    const follow = query.follow === "1" || query.follow === "true";
    if (follow || query.format === "lines") {
      return jsonLines(c.req.raw.signal, (signal) =>
        follow ? followed(dock, row, signal) : stored(dock, row),
      );
    }
    await dock.events.flush();
    const limit = query.limit > 0 ? Math.min(query.limit, 100_000) : 100_000;
    const events = await dock.events.read(row.id, 0, limit);
    // In an array the SDK knows either the fields or `payload`; lines have both, for the official CLI.
    const lines = events.map((event) => {
      const { payload: _, ...fields } = eventView(event, row);
      return fields;
    });
    return c.json(query.direction === "backward" ? lines.reverse() : lines);
  });
  return app;
}

async function* stored(dock: Dock, row: DeploymentView): AsyncGenerator<object> {
  await dock.events.flush();
  let last = 0;
  for (;;) {
    const page = await dock.events.read(row.id, last, 2_000);
    for (const event of page) yield eventView(event, row);
    const end = page.at(-1);
    if (!end) return;
    last = end.serial;
  }
}

/** Ends with the line that tells a waiting client that the aliases are settled, so that it need not poll once more. */
async function* followed(dock: Dock, row: DeploymentView, signal: AbortSignal): AsyncGenerator<object> {
  for await (const event of dock.events.follow(row.id, signal)) yield eventView(event, row);
  if (signal.aborted) return;
  const ended = await getDeployment(dock, row.id);
  // Whose checks are not through has no aliases yet; the client polls for them.
  if (ended.state !== "READY" || ended.checks_state === "pending") return;
  yield {
    type: "alias-assigned",
    deploymentId: row.id,
    date: (ended.ready_at ?? ended.created_at).getTime(),
    alias: hostsOf(dock, row.id),
    aliasError: ended.alias_error,
    aliasWarning: null,
  };
}

function eventView(event: LogEvent, row: DeploymentView) {
  const at = event.at.getTime();
  const serial = String(event.serial);
  const info = { type: "build", name: row.name, entrypoint: "." };
  return {
    type: event.type,
    created: at,
    date: at,
    deploymentId: row.id,
    id: `${row.id}-${serial}`,
    serial,
    text: event.text,
    ...(event.level ? { level: event.level } : {}),
    info,
    payload: { deploymentId: row.id, date: at, id: `${row.id}-${serial}`, serial, text: event.text, info },
  };
}
