import { z } from "zod";
import type { Failure, Outcome } from "../../checks/model.ts";
import { defineProbe } from "../../checks/probe-kind.ts";
import { askedFields, askJson, isJsonAnswer, refusedBy } from "./http/ask-json.ts";
import { address } from "./http/settings.ts";

const browserlessSettings = z.strictObject({
  url: address("http:", "https:"),
  token: z.string().min(1).max(4_096).optional(),
  ...askedFields,
  /** Share of its concurrency from which it is degraded. */
  runningWarn: z.number().positive().max(1).default(0.9),
});
type BrowserlessSettings = z.output<typeof browserlessSettings>;

/** What browserless says of its pressure: whether it takes a session more. */
export const browserless = defineProbe<BrowserlessSettings>({
  type: "browserless",
  settings: browserlessSettings,
  subject: ({ url }) => url.replace(/[?#].*$/s, ""),
  host: ({ url }) => new URL(url).hostname,
  run: async (settings, context) => {
    const { headers, ca, insecure, token } = settings;
    const url = new URL(settings.url);
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/pressure`;
    if (token !== undefined) url.searchParams.set("token", token);
    const answer = await askJson({ url, headers, ca, insecure }, context);
    if (!isJsonAnswer(answer)) return answer;
    const { phases, where, httpStatus, json } = answer;
    if (httpStatus !== 200) return { status: "down", failure: refusedBy(answer), phases };
    const read = pressure.safeParse(json);
    if (read.success) return { ...judge(read.data.pressure, where, settings), phases };
    const failure: Failure = {
      class: "protocol",
      message: `${where} answers with no pressure of browserless.`,
    };
    return { status: "down", failure, phases };
  },
});

/** Source: docs.browserless.io, "/pressure API" */
const pressure = z.object({
  pressure: z.object({
    isAvailable: z.boolean(),
    running: z.number(),
    queued: z.number().default(0),
    maxConcurrent: z.number(),
    recentlyRejected: z.number().default(0),
    cpu: z.number().nullish(),
    memory: z.number().nullish(),
    reason: z.string().nullish(),
  }),
});
type Pressure = z.output<typeof pressure>["pressure"];

function judge(found: Pressure, where: string, { runningWarn }: BrowserlessSettings): Outcome {
  const { isAvailable, running, queued, maxConcurrent, recentlyRejected, cpu, memory } = found;
  const observed = {
    runningSessions: running,
    queuedSessions: queued,
    concurrency: maxConcurrent,
    recentlyRejected,
    cpuPercent: cpu ?? null,
    memoryPercent: memory ?? null,
  };
  const overloaded = (status: "degraded" | "down", what: string): Outcome => ({
    status,
    failure: { class: "overloaded", message: `${where} ${what}.` },
    observed,
  });
  const share = `${running} of ${maxConcurrent} sessions are running, ${queued} are waiting`;
  if (!isAvailable)
    return overloaded(
      "down",
      `takes no other session${found.reason ? ` (${found.reason.slice(0, 100)})` : ""}: ${share}`,
    );
  if (recentlyRejected > 0)
    return overloaded("degraded", `turned ${recentlyRejected} sessions away just now: ${share}`);
  // Less than one stands for no limit.
  if (queued > 0 || (maxConcurrent > 0 && running >= maxConcurrent * runningWarn))
    return overloaded("degraded", `is nearly full: ${share}`);
  return { status: "up", observed };
}
