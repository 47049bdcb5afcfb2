import { type Devtools, Ended } from "./devtools.ts";

export type Rendered = { readonly pageStatus: number | null; readonly pageBytes: number };

/**
 * Opens a page, waits until it is loaded, and has it painted. It is in a context of its own, which the browser throws
 * away with our connection, however that ends: an attempt that is given up leaves no page open either.
 */
export async function renderPage(
  devtools: Devtools,
  { url, contains }: { url: string; contains: string | undefined },
): Promise<Rendered> {
  const shown = url.startsWith("data:") ? "the page" : (URL.parse(url)?.origin ?? "the page");
  const { browserContextId } = await devtools.ask("Target.createBrowserContext", { disposeOnDetach: true });
  const { targetId } = await devtools.ask("Target.createTarget", { url: "about:blank", browserContextId });
  const { sessionId } = await devtools.ask("Target.attachToTarget", { targetId, flatten: true });
  const session = String(sessionId);
  await Promise.all([devtools.ask("Page.enable", {}, session), devtools.ask("Network.enable", {}, session)]);
  const isOurs = (method: string) => (event: { method: string; sessionId?: string }) =>
    event.method === method && event.sessionId === session;
  let pageStatus: number | null = null;
  devtools
    .event(({ method, params, sessionId: of }) => {
      if (method !== "Network.responseReceived" || of !== session || params.type !== "Document") return false;
      // Frames within the page are documents too; theirs come later than its own.
      pageStatus = (params.response as { status?: number } | undefined)?.status ?? null;
      return true;
    }, `no answer from ${shown}`)
    .catch(() => {});
  const loaded = devtools.event(isOurs("Page.loadEventFired"), `${shown} was not loaded`);
  const navigated = await devtools.ask("Page.navigate", { url }, session);
  if (typeof navigated.errorText === "string" && navigated.errorText !== "")
    throw new Ended({
      class: "assertion",
      message: `The browser cannot open ${shown}: ${navigated.errorText}.`,
    });
  await loaded;
  if (pageStatus !== null && pageStatus >= 400)
    throw new Ended({ class: "assertion", message: `The browser gets status ${pageStatus} from ${shown}.` });
  await requireText(devtools, session, contains);
  const { data } = await devtools.ask("Page.captureScreenshot", { format: "png" }, session);
  await devtools.ask("Target.disposeBrowserContext", { browserContextId });
  const pageBytes = Buffer.from(String(data ?? ""), "base64").length;
  if (pageBytes === 0)
    throw new Ended({ class: "assertion", message: `The browser painted nothing of ${shown}.` });
  return { pageStatus, pageBytes };
}

async function requireText(devtools: Devtools, session: string, contains: string | undefined): Promise<void> {
  if (contains === undefined) return;
  const expression = "document.documentElement.innerText";
  const { result } = await devtools.ask("Runtime.evaluate", { expression, returnByValue: true }, session);
  const text = String((result as { value?: unknown } | undefined)?.value ?? "");
  if (text.includes(contains)) return;
  const message = `The page has no ${JSON.stringify(contains)} in its text of ${text.length} characters.`;
  throw new Ended({ class: "assertion", message });
}
