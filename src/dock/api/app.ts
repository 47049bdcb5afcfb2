import { Hono } from "hono";
import type { Dock } from "../dock.ts";
import { accountRoutes } from "./account.ts";
import { aliasRoutes } from "./aliases.ts";
import { answerError } from "./answer-error.ts";
import { requireTeam, requireToken } from "./auth.ts";
import { certRoutes } from "./certs.ts";
import { checkRoutes } from "./checks.ts";
import { checksV2Routes } from "./checks-v2.ts";
import { cronRoutes } from "./crons.ts";
import { deploymentFileRoutes } from "./deployment-files.ts";
import { deploymentRoutes } from "./deployments.ts";
import { dnsRoutes } from "./dns.ts";
import { domainRoutes } from "./domains.ts";
import { edgeConfigReadRoutes } from "./edge-config-reads.ts";
import { edgeConfigRoutes } from "./edge-configs.ts";
import { environmentRoutes } from "./environments.ts";
import { eventRoutes } from "./events.ts";
import { fileRoutes } from "./files.ts";
import { productionRoutes } from "./production.ts";
import { projectDomainRoutes } from "./project-domains.ts";
import { projectRoutes } from "./projects.ts";
import { protectionRoutes } from "./protection.ts";
import { registrarRoutes } from "./registrar.ts";
import { resourcePath } from "./resource-path.ts";
import { runtimeLogRoutes } from "./runtime-logs.ts";
import { sharedVariableRoutes } from "./shared-variables.ts";
import { trafficRoutes } from "./traffic.ts";
import { variableRoutes } from "./variables.ts";
import { webhookRoutes } from "./webhooks.ts";

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
  app.route("/", edgeConfigReadRoutes(dock));
  app.use("*", requireToken(tokens));
  app.use("*", requireTeam);
  for (const routes of [
    accountRoutes(dock),
    projectRoutes(dock),
    productionRoutes(dock),
    trafficRoutes(dock),
    variableRoutes(dock),
    fileRoutes(dock),
    deploymentRoutes(dock),
    eventRoutes(dock),
    aliasRoutes(dock),
    registrarRoutes(),
    runtimeLogRoutes(dock),
    cronRoutes(dock),
    environmentRoutes(dock),
    projectDomainRoutes(dock),
    protectionRoutes(dock),
    sharedVariableRoutes(dock),
    deploymentFileRoutes(dock),
    checkRoutes(dock),
    checksV2Routes(dock),
    webhookRoutes(dock),
    edgeConfigRoutes(dock),
    domainRoutes(dock),
    dnsRoutes(dock),
    certRoutes(dock),
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
