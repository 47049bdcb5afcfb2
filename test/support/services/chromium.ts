import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ask, HERE, makeDir, requireHome, type Service, startService } from "./service.ts";

const VERSION = "GET /json/version HTTP/1.1\r\nHost: localhost\r\n\r\n";

/** A browser without a window, with its DevTools at `port`. */
export async function startChromium(options: { args?: readonly string[] } = {}): Promise<Service> {
  const home = requireHome("chromium");
  const dir = makeDir("chromium");
  // It chooses a port itself and writes it down. A port that we found free may be another's by the time it asks.
  const portFile = join(dir, "profile/DevToolsActivePort");
  const port = () => Number(existsSync(portFile) ? readFileSync(portFile, "utf8").split("\n")[0] : 0);
  const service = await startService({
    name: "Chromium",
    port: 0,
    place: HERE,
    dir,
    command: [
      home.program,
      "--headless=new",
      "--remote-debugging-port=0",
      `--user-data-dir=${join(dir, "profile")}`,
      // The tests run it on pages of their own, also as root and in containers, where it has no sandbox.
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-extensions",
      "--no-first-run",
      ...(options.args ?? []),
      "about:blank",
    ],
    env: { ...home.env, XDG_CACHE_HOME: dir, XDG_CONFIG_HOME: dir },
    ready: async () => port() > 0 && (await ask("127.0.0.1", port(), VERSION)) !== null,
  });
  return { ...service, port: port() };
}
