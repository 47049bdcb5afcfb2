/** A request that an app's own server and the dock's output server are both asked. */
export type Question = {
  readonly path: string;
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What Vercel answers otherwise than the framework's own server, and why that is right. */
  readonly except?: readonly ("body" | "type" | "header" | "location")[];
};

export type FrameworkApp = {
  /** The folder in `test/apps`. */
  readonly name: string;
  readonly framework: string;
  /** Builds for the framework's own server, in a copy of its own; null: it serves the very build that the CLI made. */
  readonly build: { readonly command: string; readonly env: Readonly<Record<string, string>> } | null;
  /** Starts the framework's own server on `PORT`. */
  readonly start: string;
  readonly questions: readonly Question[];
  /** Pages that show when they, or their data, were made, and the path whose POST makes the app revalidate them. */
  readonly revalidated?: { readonly pages: readonly string[]; readonly by: string };
};

const text = { "content-type": "text/plain" };
// Vercel says where to go in a sentence, and lets no header rule speak at a redirect.
const redirect = ["body", "type", "header"] as const;

export const FRAMEWORK_APPS: readonly FrameworkApp[] = [
  {
    name: "next",
    framework: "nextjs",
    build: null,
    start: "next start -p $PORT",
    questions: [
      { path: "/" },
      { path: "/", method: "HEAD" },
      { path: "/dynamic/abc?q=1" },
      { path: "/dynamic/%C3%A4%20b" },
      { path: "/isr" },
      { path: "/cached" },
      { path: "/image" },
      { path: "/picture.png" },
      // Next.js resizes it; here it is passed through.
      { path: "/_next/image?url=%2Fpicture.png&w=64&q=75", except: ["body"] },
      { path: "/_next/image?url=%2Fother.png&w=64&q=75", except: ["body", "type"] },
      { path: "/api/echo?a=1&a=2&b=" },
      { path: "/api/echo", method: "POST", body: "hello", headers: text },
      { path: "/api/echo", method: "DELETE" },
      { path: "/guarded" },
      { path: "/rewritten" },
      { path: "/old/x", except: redirect },
      { path: "/old/x?a=1&a=2&b=%C3%A4", except: redirect },
      { path: "/only-with-flag?flag=1&x=2", except: redirect },
      { path: "/isr/", except: redirect },
      { path: "/only-with-flag" },
      { path: "/nothing" },
      { path: "/api/revalidate", method: "POST" },
    ],
    revalidated: { pages: ["/isr", "/cached"], by: "/api/revalidate" },
  },
  {
    name: "astro",
    framework: "astro",
    build: { command: "npm run build", env: {} },
    start: "env HOST=127.0.0.1 node dist/server/entry.mjs",
    questions: [
      { path: "/" },
      { path: "/blog/abc?q=1" },
      { path: "/blog/%C3%A4" },
      { path: "/hello.txt" },
      { path: "/api/echo?a=1" },
      { path: "/api/echo", method: "POST", body: "hello", headers: text },
      { path: "/nothing" },
    ],
  },
  {
    name: "nuxt",
    framework: "nuxtjs",
    build: { command: "npm run build", env: { NITRO_PRESET: "node-server" } },
    start: "node .output/server/index.mjs",
    questions: [
      { path: "/item/7?q=1", except: ["body"] },
      { path: "/hello.txt" },
      { path: "/api/echo?a=1" },
      { path: "/api/echo", method: "POST", body: "hello", headers: text },
      { path: "/old", except: redirect },
    ],
  },
  {
    name: "hono",
    framework: "hono",
    build: null,
    start: "node serve.mjs",
    questions: [
      { path: "/" },
      { path: "/item/7?a=1&b=2" },
      { path: "/item/%C3%A4" },
      { path: "/echo", method: "POST", body: "hello", headers: text },
      // Hono's server for Node gives text a type; at Vercel an answer without one has none.
      { path: "/stream", except: ["type"] },
      { path: "/broken" },
      { path: "/nothing" },
    ],
  },
];
