import { readFileSync } from "node:fs";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const { version, accent } = JSON.parse(readFileSync(new URL("./src/version.json", import.meta.url), "utf8"));

/** Writes the release into the page itself, so that every answer, page or API, says which version made it. */
const stampVersion = {
  name: "stamp-version",
  transformIndexHtml: (html) => ({
    html: html.replaceAll("%VERSION%", version).replaceAll("%ACCENT%", accent),
    tags: [{ tag: "style", children: `:root{--accent:${accent}}`, injectTo: "head" }],
  }),
};

export default defineConfig({
  plugins: [react(), stampVersion],
  server: { proxy: { "/api": { target: "http://127.0.0.1:3000", ws: true } } },
});
