import { z } from "zod";
import type { Failure, Outcome } from "../../checks/model.ts";
import { defineProbe } from "../../checks/probe-kind.ts";
import { askedFields, askJson, isJsonAnswer, refusedBy } from "./http/ask-json.ts";
import { address } from "./http/settings.ts";

const statuspageSettings = z.strictObject({
  /** The page, or its `summary.json`. */
  url: address("http:", "https:"),
  /** Names or ids. Absent: what the page says of all of it. */
  components: z.array(z.string().min(1).max(255)).min(1).max(50).optional(),
  ca: askedFields.ca,
});
type StatuspageSettings = z.output<typeof statuspageSettings>;

/** What a vendor says of itself on an Atlassian Statuspage. */
export const statuspage = defineProbe<StatuspageSettings>({
  type: "statuspage",
  settings: statuspageSettings,
  subject: ({ url }) => url.replace(/[?#].*$/s, ""),
  host: ({ url }) => new URL(url).hostname,
  run: async ({ url, ca, components }, context) => {
    const answer = await askJson(
      { url: summaryOf(url), headers: { accept: "application/json" }, ca },
      context,
    );
    if (!isJsonAnswer(answer)) return answer;
    const { phases, where, httpStatus, json } = answer;
    if (httpStatus !== 200) return { status: "down", failure: refusedBy(answer), phases };
    const read = summary.safeParse(json);
    if (read.success) return { ...judge(read.data, components), phases };
    const failure: Failure = {
      class: "protocol",
      message: `${where} answers with no summary of a Statuspage.`,
    };
    return { status: "down", failure, phases };
  },
});

function summaryOf(text: string): URL {
  const url = new URL(text);
  if (!url.pathname.endsWith(".json"))
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/api/v2/summary.json`;
  return url;
}

/** Source: metastatuspage.com/api/v2 */
const summary = z.object({
  status: z.object({ indicator: z.string(), description: z.string().default("") }),
  components: z.array(z.object({ id: z.string(), name: z.string(), status: z.string() })).default([]),
  incidents: z.array(z.object({ name: z.string(), impact: z.string().optional() })).default([]),
  scheduled_maintenances: z.array(z.object({ status: z.string() })).default([]),
});
type Summary = z.output<typeof summary>;

type Level = Outcome["status"];

/** Of the whole page. `maintenance` was announced, and is no failure. */
const INDICATORS: Readonly<Record<string, Level>> = {
  none: "up",
  maintenance: "up",
  minor: "degraded",
  major: "degraded",
  critical: "down",
};
const COMPONENTS: Readonly<Record<string, Level>> = {
  operational: "up",
  under_maintenance: "up",
  degraded_performance: "degraded",
  partial_outage: "degraded",
  major_outage: "down",
};
const WORSE: Readonly<Record<Level, number>> = { up: 0, degraded: 1, down: 2 };

function judge(page: Summary, wanted: readonly string[] | undefined): Outcome {
  const observed = {
    indicator: page.status.indicator.slice(0, 40),
    incidents: page.incidents.length,
    maintenances: page.scheduled_maintenances.filter(({ status }) => status === "in_progress").length,
  };
  const said = (status: Level, what: string): Outcome => {
    if (status === "up") return { status, observed };
    const incident = page.incidents[0]?.name.slice(0, 200);
    const message = `The vendor says: ${what}${incident === undefined ? "" : ` (${incident})`}.`;
    return { status, failure: { class: "status", message }, observed };
  };
  if (wanted === undefined) {
    const { indicator, description } = page.status;
    // A word that we do not know is worse than none, and not for sure an outage.
    return said(INDICATORS[indicator] ?? "degraded", description.slice(0, 200) || indicator);
  }
  let worst: Level = "up";
  const unwell: string[] = [];
  for (const name of wanted) {
    const found = page.components.filter((each) => each.name === name || each.id === name);
    if (found.length === 0) {
      const message = `The page has no component ${JSON.stringify(name)}.`;
      return { status: "down", failure: { class: "unsupported", message }, observed };
    }
    for (const { name: shown, status } of found) {
      const level = COMPONENTS[status] ?? "degraded";
      if (level !== "up") unwell.push(`${shown} ${status.replaceAll("_", " ")}`);
      if (WORSE[level] > WORSE[worst]) worst = level;
    }
  }
  return said(worst, unwell.join(", "));
}
