import { serveStatic } from "@hono/node-server/serve-static";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { streamSSE } from "hono/streaming";
import { pages } from "./pages.js";
import { release } from "./release.js";

/** The shop's HTTP side. Files of `dist/` come from the platform when there is one, from here otherwise. */
export function createApi({ shelf, orders, live }) {
  const app = new Hono();
  app.use(async (context, next) => {
    await next();
    context.header("x-storefront-version", release.version);
    context.header("x-storefront-instance", release.instance);
  });

  app.get("/healthz", (context) => {
    const book = orders.health();
    return context.json({ status: book.ok ? "ok" : "order book unavailable", book }, book.ok ? 200 : 503);
  });
  app.get("/api/version", (context) => context.json(release));
  app.get("/api/products", (context) => context.json({ products: shelf.list() }));
  app.get("/api/events", (context) => streamSSE(context, (stream) => live.stream(stream)));
  app.post("/api/orders", bodyLimit({ maxSize: 64 * 1024 }), async (context) => {
    const body = await context.req.json().catch(() => null);
    const problems = orders.problemsOf(body);
    if (problems.length > 0) return context.json({ problems }, 422);
    const order = await orders.place(body);
    return context.json({ order, note: body.note ?? null }, order.status === "placed" ? 201 : 202);
  });
  app.all("/api/*", (context) => context.json({ error: `There is nothing at ${context.req.path}.` }, 404));

  app.get("/products/:id", (context) => {
    const product = shelf.get(context.req.param("id"));
    return product ? context.html(pages.product(product)) : context.html(pages.missing(), 404);
  });
  app.use(serveStatic({ root: "./dist" }));
  app.notFound((context) => context.html(pages.missing(), 404));
  return app;
}
