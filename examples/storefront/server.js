import { serve } from "@hono/node-server";
import { createApi } from "./server/api.js";
import { createLive } from "./server/live.js";
import { createOrders } from "./server/orders.js";
import { createShelf } from "./server/shelf.js";

const shelf = createShelf();
const orders = createOrders(shelf);
const live = createLive(shelf);

const server = serve(
  { fetch: createApi({ shelf, orders, live }).fetch, port: Number(process.env.PORT ?? 3000) },
  ({ port }) => console.log(`Halt & Co. is open on port ${port}.`),
);
live.acceptWebSockets(server);

process.once("SIGTERM", () => {
  console.log("Closing: live connections are told to reconnect, requests under way are finished.");
  live.close();
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
