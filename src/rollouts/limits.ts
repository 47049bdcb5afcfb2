import { quantileMs } from "./latency.ts";
import type { QueryResult, Verdict } from "./rollout.ts";
import type { AnalysisPolicy, AnalysisQuery } from "./strategy.ts";
import { latestOf, recentOf, SAMPLES_KEPT, type ServiceWindow } from "./windows.ts";
import { count, ms, percent } from "./words.ts";

/** A verdict on one service or one query, before it is joined with those on the others. */
export type Finding = { readonly is: Verdict["is"]; readonly text: string };

/** Too few requests to say anything of the service; null when there are enough. Nothing is ever said of none. */
export function tooFew(window: ServiceWindow, { minRequests }: AnalysisPolicy): Finding | null {
  const { requests } = window.canary.total;
  if (requests >= Math.max(1, minRequests)) return null;
  const needed = minRequests === 0 ? "none are asked for" : `${minRequests} needed`;
  return { is: "inconclusive", text: `${count(requests, "request")}, ${needed}` };
}

/** How unlikely a run of errors must be, under the allowed share, to be none of chance. */
const BY_CHANCE = 0.001;

/**
 * The share of 5xx answers since the stage was reached. What went well before must not hide what goes wrong now: the
 * last interval is judged by itself, where its errors are more than chance would have of the allowed share; and a stage
 * longer than `SAMPLES_KEPT` intervals by those alone.
 */
export function judgeErrors(
  window: ServiceWindow,
  limit: number,
  policy: AnalysisPolicy,
  weight: number,
): Finding {
  const recent = recentOf(window);
  if (recent && recent.requests >= Math.max(1, policy.minRequests)) {
    const when = ` in the last ${SAMPLES_KEPT} intervals`;
    const finding = shareOfErrors(recent, limit, `${weight} %${when}`);
    if (finding.is === "fail") return finding;
  }
  const whole = tooFew(window, policy) ?? shareOfErrors(window.canary.total, limit, `${weight} %`);
  if (whole.is !== "pass") return whole;
  const latest = latestOf(window);
  const isEnough = latest.requests >= Math.max(1, policy.minRequests);
  const isBad = isEnough && chanceOf(latest.errors5xx, latest.requests, limit) < BY_CHANCE;
  return isBad ? shareOfErrors(latest, limit, `${weight} % lately`) : whole;
}

/** Binomial: how likely `errors` or more of `requests` are when each is one with probability `share`. */
function chanceOf(errors: number, requests: number, share: number): number {
  if (errors <= requests * share) return 1;
  if (share <= 0) return 0;
  let term = requests * Math.log1p(-share);
  let below = 0;
  for (let count = 0; count < errors; count++) {
    below += Math.exp(term);
    term += Math.log((requests - count) / (count + 1)) + Math.log(share / (1 - share));
  }
  return Math.max(0, 1 - below);
}

function shareOfErrors(seen: { requests: number; errors5xx: number }, limit: number, at: string): Finding {
  const share = seen.errors5xx / seen.requests;
  return {
    is: share > limit ? "fail" : "pass",
    text:
      `${seen.errors5xx} of ${count(seen.requests, "answer")} at ${at} were 5xx ` +
      `(${percent(share)}, allowed ${percent(limit)})`,
  };
}

/** The 95th percentile of the time to first byte since the stage was reached. */
export function judgeLatency(
  window: ServiceWindow,
  limitMs: number,
  policy: AnalysisPolicy,
  weight: number,
): Finding {
  const few = tooFew(window, policy);
  if (few) return few;
  const { latency } = window.canary.total;
  const p95 = quantileMs(latency, 0.95);
  if (p95 === null) return { is: "inconclusive", text: "no answer yet" };
  const shown = Number.isFinite(p95) ? ms(p95) : "above 10 s";
  const answers = `${count(latency.at(-1) ?? 0, "answer")} at ${weight} %`;
  return {
    is: p95 > limitMs ? "fail" : "pass",
    text: `the 95th percentile of ${answers} is ${shown} (allowed ${ms(limitMs)})`,
  };
}

/** Whether a query's number lies within its limits. No number is no verdict: never a pass. */
export function judgeQuery(query: AnalysisQuery, results: readonly QueryResult[]): Finding {
  const { name, max, min } = query;
  const result = results.find((candidate) => candidate.name === name);
  if (!result) return { is: "inconclusive", text: `query "${name}" was not answered` };
  const { value, error } = result;
  if (error !== null || value === null || !Number.isFinite(value)) {
    return { is: "inconclusive", text: `query "${name}": ${error ?? "no number"}` };
  }
  const limits = [min === null ? null : `at least ${min}`, max === null ? null : `at most ${max}`];
  const asked = limits.filter((limit) => limit !== null).join(" and ") || "no limit";
  const outside = (max !== null && value > max) || (min !== null && value < min);
  return { is: outside ? "fail" : "pass", text: `query "${name}" is ${value} (${asked})` };
}
