// The app on Hono's own server for Node, to compare with.
import { serve } from "@hono/node-server";
import app from "./src/index.ts";

serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: "127.0.0.1" });
