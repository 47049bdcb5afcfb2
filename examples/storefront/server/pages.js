import { readFileSync } from "node:fs";

const template = readFileSync(new URL("../dist/index.html", import.meta.url), "utf8");

/** Pages made on the server: the built page with its title and what it is about filled in. */
export const pages = {
  product: (product) => render({ title: product.name, description: product.blurb, data: { product } }),
  missing: () => render({ title: "Not found", description: "No train stops here.", data: { missing: true } }),
};

function render({ title, description, data }) {
  return template
    .replace(/<title>.*?<\/title>/, () => `<title>${escapeHtml(title)} · Halt &amp; Co.</title>`)
    .replace(/(<meta name="description" content=")[^"]*/, (_, start) => start + escapeHtml(description))
    .replace("</body>", () => `<script id="data" type="application/json">${inScript(data)}</script></body>`);
}

const escapeHtml = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
const inScript = (data) => JSON.stringify(data).replaceAll("<", "\\u003c");
