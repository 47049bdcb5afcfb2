import { ask } from "./cache-channel.ts";
import { requests } from "./context.ts";

/**
 * `res.revalidate()` of Next.js asks the app's own host for a page, by `https` always. That request goes over the
 * channel to the output server, so that it arrives where there is no certificate and behind whatever guards the host.
 * Every other request is made as it is.
 */
export function installOwnPages(global: { fetch: typeof globalThis.fetch }): void {
  const { fetch: plain } = global;
  const fetch: typeof globalThis.fetch = (input, init) => renewal(input, init) ?? plain(input, init);
  Object.defineProperty(global, "fetch", {
    value: fetch,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

function renewal(
  input: Parameters<typeof fetch>[0],
  init: RequestInit | undefined,
): Promise<Response> | null {
  if (init?.method !== "HEAD" || typeof input !== "string") return null;
  const headers = new Headers(init.headers);
  const [url, host] = [URL.parse(input), requests.getStore()?.headers.host];
  if (url === null || url.host !== host || !headers.has("x-prerender-revalidate")) return null;
  return renew(`${url.pathname}${url.search}`, [...headers, ["host", host]].flat());
}

async function renew(path: string, headers: readonly string[]): Promise<Response> {
  const answer = await ask({ verb: "renew", path, headers });
  const { status, cache } = (answer?.value ?? { status: 500, cache: "" }) as {
    status: number;
    cache: string;
  };
  return new Response(null, { status, headers: { "x-vercel-cache": cache } });
}
