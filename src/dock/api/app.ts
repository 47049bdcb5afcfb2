import { Hono } from "hono";
import type { Dock } from "../dock.ts";
import { accountRoutes } from "./account.ts";
import { aliasRoutes } from "./aliases.ts";
import { answerError } from "./answer-error.ts";
import { requireToken } from "./auth.ts";
import { deploymentRoutes } from "./deployments.ts";
import { eventRoutes } from "./events.ts";
import { fileRoutes } from "./files.ts";
import { productionRoutes } from "./production.ts";
import { projectRoutes } from "./projects.ts";
import { resourcePath } from "./resource-path.ts";
import { trafficRoutes } from "./traffic.ts";
import { variableRoutes } from "./variables.ts";

/** The dock's API: Vercel's REST resources, matched by resource and not by version. */
export function createDockApp(dock: Dock, tokens: readonly { readonly hash: string }[]): Hono {
  const app = new Hono({ getPath: (request) => resourcePath(request.url) });
  let unknownPaths = 0;

  // Without a token: for whoever supervises the process.
  app.get("/health", (c) =>
    c.json({
      status: "ok",
      generation: dock.traffic.state.generation,
      acknowledged: dock.publisher.acknowledged(),
      building: dock.queue.active(),
      waiting: dock.queue.waiting(),
      unknownPaths,
    }),
  );
  app.use("*", requireToken(tokens));
  for (const routes of [
    accountRoutes(),
    projectRoutes(dock),
    productionRoutes(dock),
    trafficRoutes(dock),
    variableRoutes(dock),
    fileRoutes(dock),
    deploymentRoutes(dock),
    eventRoutes(dock),
    aliasRoutes(dock),
  ]) {
    app.route("/", routes);
  }
  app.notFound((c) => {
    unknownPaths += 1;
    const asked = `${c.req.method} ${new URL(c.req.url).pathname}`;
    dock.log.warn({ asked, unknownPaths }, "a client asked for something that the dock does not have");
    return c.json({ error: { code: "not_found", message: `The dock has no ${asked}.` } }, 404);
  });
  app.onError((error, c) => answerError(c, error, dock.log));
  return app;
}
