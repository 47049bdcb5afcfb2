import { z } from "zod";
import type { Failure, Outcome } from "../../checks/model.ts";
import { defineProbe } from "../../checks/probe-kind.ts";
import { askedFields, askJson, isJsonAnswer, refusedBy } from "./http/ask-json.ts";
import { address } from "./http/settings.ts";

const seleniumSettings = z.strictObject({
  url: address("http:", "https:"),
  ...askedFields,
  /** Nodes that should be up. */
  nodes: z.int().min(1).max(10_000).default(1),
  /** Share of the sessions that they can hold from which it is degraded. */
  runningWarn: z.number().positive().max(1).default(0.9),
});
type SeleniumSettings = z.output<typeof seleniumSettings>;

/** What a Selenium Grid says of its nodes, or one driver of itself. */
export const selenium = defineProbe<SeleniumSettings>({
  type: "selenium",
  settings: seleniumSettings,
  subject: ({ url }) => url.replace(/[?#].*$/s, ""),
  host: ({ url }) => new URL(url).hostname,
  run: async (settings, context) => {
    const { headers, ca, insecure } = settings;
    const url = new URL(settings.url);
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/status`;
    const answer = await askJson({ url, headers, ca, insecure }, context);
    if (!isJsonAnswer(answer)) return answer;
    const { phases, where, httpStatus, json } = answer;
    const read = status.safeParse(json);
    // A grid that is not ready says so with a status of its own in some versions.
    if (httpStatus !== 200 && !(httpStatus === 503 && read.success))
      return { status: "down", failure: refusedBy(answer), phases };
    if (read.success) return { ...judge(read.data.value, where, settings), phases };
    const failure: Failure = { class: "protocol", message: `${where} answers with no status of WebDriver.` };
    return { status: "down", failure, phases };
  },
});

/** Source: w3.org/TR/webdriver2, 8.3, and NodeStatus of Selenium 4 */
const status = z.object({
  value: z.object({
    ready: z.boolean(),
    message: z.string().default(""),
    nodes: z
      .array(
        z.object({
          availability: z.string().default("UP"),
          maxSessions: z.number().optional(),
          slots: z.array(z.object({ session: z.unknown().nullish() })).default([]),
        }),
      )
      .optional(),
  }),
});
type Status = z.output<typeof status>["value"];

function judge({ ready, message, nodes }: Status, where: string, settings: SeleniumSettings): Outcome {
  const said = message === "" ? "" : ` (${message.slice(0, 200)})`;
  if (nodes === undefined) {
    if (ready) return { status: "up", observed: { ready } };
    // One driver holds one session: while it does, it is not ready for another.
    const failure: Failure = { class: "overloaded", message: `${where} takes no other session${said}.` };
    return { status: "degraded", failure, observed: { ready } };
  }
  const up = nodes.filter(({ availability }) => availability === "UP");
  const running = up.flatMap(({ slots }) => slots).filter(({ session }) => session != null).length;
  const most = up.reduce(
    (sum, { slots, maxSessions }) => sum + Math.min(slots.length, maxSessions ?? Infinity),
    0,
  );
  const observed = {
    ready,
    nodes: nodes.length,
    upNodes: up.length,
    drainingNodes: nodes.filter(({ availability }) => availability === "DRAINING").length,
    runningSessions: running,
    concurrency: most,
  };
  const unwell = (is: "degraded" | "down", kind: Failure["class"], what: string): Outcome => ({
    status: is,
    failure: { class: kind, message: `${where}: ${what}.` },
    observed,
  });
  if (up.length === 0) return unwell("down", "missing", `none of ${nodes.length} nodes is up`);
  const share = `${running} of ${most} sessions are running`;
  if (running >= most) return unwell("degraded", "overloaded", `${share}: others have to wait`);
  if (!ready) return unwell("down", "starting", `the grid is not ready${said}`);
  if (up.length < settings.nodes)
    return unwell("degraded", "missing", `${up.length} nodes are up, of ${settings.nodes} that should be`);
  if (running >= most * settings.runningWarn) return unwell("degraded", "overloaded", share);
  return { status: "up", observed };
}
