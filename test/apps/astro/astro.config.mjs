import node from "@astrojs/node";
import vercel from "@astrojs/vercel";
import { defineConfig } from "astro/config";

// The same pages for Vercel and, to compare with, for the framework's own server.
export default defineConfig({
  output: "server",
  adapter: process.env.VERCEL ? vercel() : node({ mode: "standalone" }),
  redirects: { "/old": "/" },
});
