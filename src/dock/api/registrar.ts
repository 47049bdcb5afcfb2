import { Hono } from "hono";

/**
 * The shop for domain names, which the dock has not: nothing is for sale. A client that assigns an alias asks here
 * first, and then adds the name as one that was bought elsewhere.
 */
export function registrarRoutes(): Hono {
  const app = new Hono();
  app.get("/registrar/domains/:name/availability", (c) => c.json({ available: false }));
  app.get("/registrar/domains/:name/price", (c) =>
    c.json({ years: 1, purchasePrice: null, renewalPrice: null, transferPrice: null }),
  );
  return app;
}
