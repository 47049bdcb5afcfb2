import type { ServerResponse } from "node:http";

export type ErrorPage = {
  readonly status: number;
  /** A stable word for programs. */
  readonly code: string;
  readonly title: string;
  readonly hint: string;
  readonly retryAfterS?: number;
  /** Vercel's word for it, in the header where Vercel has it. */
  readonly edge?: string;
};

export const PAGES = {
  badRequest: (hint: string): ErrorPage => ({ status: 400, code: "bad_request", title: "Bad request", hint }),
  noHost: {
    status: 404,
    code: "no_deployment",
    title: "Nothing is deployed here",
    hint: "No deployment answers to this host name. Check the spelling, or run `signalbox list` to see what does.",
  },
  deleted: {
    status: 410,
    code: "DEPLOYMENT_DELETED",
    title: "This deployment is gone",
    hint: "Its project keeps deployments for a limited time, and this one's is over. Deploy its commit again.",
  },
  notFound: {
    status: 404,
    code: "not_found",
    title: "Not found",
    hint: "This deployment has no page at this address.",
  },
  unreachable: {
    status: 502,
    code: "app_unreachable",
    title: "The app does not answer",
    hint: "Its process is not accepting connections. `signalbox logs` shows why it stopped.",
  },
  broken: {
    status: 502,
    code: "app_hung_up",
    title: "The app hung up",
    hint: "It closed the connection without an answer. `signalbox logs` may show a crash.",
  },
  unreadable: {
    status: 502,
    code: "release_unreadable",
    title: "The release cannot be read",
    hint: "Its files are missing or damaged on the server. Deploy again, or roll back.",
  },
  externalRewrite: {
    status: 502,
    code: "external_rewrite",
    title: "Rewrites to other hosts are not served",
    hint: "This route's destination is another host. Use a redirect, or fetch it from the app.",
  },
  protected: {
    status: 401,
    code: "protected",
    edge: "DEPLOYMENT_PROTECTED",
    title: "This deployment is protected",
    hint: "Send a bypass secret of the project in the header x-vercel-protection-bypass.",
  },
  paused: {
    status: 503,
    code: "DEPLOYMENT_PAUSED",
    edge: "DEPLOYMENT_PAUSED",
    title: "This project is paused",
    hint: "Nothing of it is served until somebody unpauses it.",
  },
  asleep: {
    status: 503,
    code: "app_asleep",
    title: "The app is not running",
    hint: "Its process is being started or was put to sleep. Try again in a moment.",
    retryAfterS: 2,
  },
  held: {
    status: 503,
    code: "held",
    title: "One moment, please",
    hint: "This site is being changed, and the change takes longer than requests may wait. Try again in a moment.",
    retryAfterS: 5,
  },
  timeout: {
    status: 504,
    code: "app_timeout",
    title: "The app took too long",
    hint: "It accepted the request and sent no answer in time. `signalbox logs` may show where it hangs.",
  },
} as const satisfies Record<string, ErrorPage | ((hint: string) => ErrorPage)>;

const STYLE =
  "body{font:16px/1.5 system-ui,sans-serif;margin:12vh auto;max-width:34rem;padding:0 1.5rem;color:#222;" +
  "background:#fff}h1{font-size:1.4rem}p{color:#555}small{color:#888}" +
  "@media(prefers-color-scheme:dark){body{background:#111;color:#eee}p{color:#aaa}}";

/** The body and headers of an error answer: JSON for a client that asks for it, a small page otherwise. */
export function renderErrorPage(
  page: ErrorPage,
  accept: string,
  release: string | null,
): { headers: string[]; body: string } {
  const json = accept.includes("json") && !accept.includes("text/html");
  const body = json
    ? `${JSON.stringify({ error: { code: page.code, message: page.title, hint: page.hint } })}\n`
    : htmlPage(page, release);
  const headers = [
    "content-type",
    json ? "application/json" : "text/html; charset=utf-8",
    "content-length",
    String(Buffer.byteLength(body)),
    "cache-control",
    "no-store",
    "x-content-type-options",
    "nosniff",
    "content-security-policy",
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  ];
  // As Vercel's edge does where it answers in place of a release, so that a probe can tell the two apart.
  if (page.edge !== undefined) headers.push("x-vercel-error", page.edge);
  if (page.retryAfterS !== undefined) headers.push("retry-after", String(page.retryAfterS));
  if (release !== null) headers.push("x-signalbox-deployment", release);
  return { headers, body };
}

/**
 * Answers with an error page, if nothing was sent yet; otherwise cuts the answer, so that it is not taken for whole.
 */
export function sendErrorPage(
  res: ServerResponse,
  page: ErrorPage,
  request: { readonly accept: string; readonly head: boolean; readonly release: string | null },
): number {
  if (res.headersSent || res.destroyed) {
    res.destroy();
    return 0;
  }
  const { headers, body } = renderErrorPage(page, request.accept, request.release);
  res.writeHead(page.status, headers);
  res.end(request.head ? undefined : body);
  return request.head ? 0 : Buffer.byteLength(body);
}

function htmlPage(page: ErrorPage, release: string | null): string {
  const footer = release === null ? "Signalbox" : `Signalbox · ${escapeHtml(release)}`;
  return (
    `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
    `<title>${page.status} ${escapeHtml(page.title)}</title><style>${STYLE}</style>` +
    `<h1>${page.status} · ${escapeHtml(page.title)}</h1><p>${escapeHtml(page.hint)}</p>` +
    `<small>${footer}</small></html>\n`
  );
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
