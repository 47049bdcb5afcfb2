import { describeBlueGreen } from "./blue-green.ts";
import { describeCanary } from "./canary.ts";
import { describeInstant } from "./instant.ts";
import { type AnalysisPolicy, analysisOf, type Strategy } from "./strategy.ts";
import { count, duration, ms, percent } from "./words.ts";

/** A strategy in lines for people, as `signalbox plan` prints it: the stages, then what takes the release back. */
export function describeStrategy(strategy: Strategy): string[] {
  const policy = analysisOf(strategy);
  const compares = strategy.kind === "canary" && strategy.analysis.compare;
  const judged = strategy.kind !== "blue_green" || strategy.watchMs > 0;
  return [...describeStages(strategy), ...(policy && judged ? describeAnalysis(policy, compares) : [])];
}

function describeStages(strategy: Strategy): string[] {
  switch (strategy.kind) {
    case "instant":
      return describeInstant();
    case "blue_green":
      return describeBlueGreen(strategy.watchMs);
    case "canary":
      return describeCanary(strategy.steps);
  }
}

function describeAnalysis(policy: AnalysisPolicy, compares: boolean): string[] {
  const { maxErrorRate, maxLatencyMs, confidence, queries, failureLimit, intervalMs } = policy;
  const causes = [
    ...(maxErrorRate === null ? [] : [`more than ${percent(maxErrorRate)} of its answers are 5xx`]),
    ...(maxLatencyMs === null ? [] : [`its 95th percentile is above ${ms(maxLatencyMs)}`]),
    ...(compares ? [`it is worse than the release before it, at ${percent(confidence)} confidence`] : []),
    ...queries.map(({ name, min, max }) => `query "${name}" is not ${limits(min, max)}`),
  ];
  if (causes.length === 0) return ["judged by probes only"];
  const row = failureLimit > 1 ? `, ${failureLimit} times in a row,` : "";
  return [
    `judged every ${duration(intervalMs)}, taken back when${row}`,
    ...causes.map((cause) => `  ${cause}`),
    traffic(policy, compares),
  ];
}

function traffic(
  { minRequests, maxErrorRate, maxLatencyMs, queries }: AnalysisPolicy,
  compares: boolean,
): string {
  const wait = "waits for a person where a stage ends and";
  if (!compares && maxErrorRate === null && maxLatencyMs === null) {
    return `${wait} ${queries.length === 1 ? "its query" : "one of its queries"} never passed`;
  }
  if (minRequests === 0) return "goes on without any request (min_requests is 0)";
  return `${wait} it had fewer than ${count(minRequests, "request")}`;
}

function limits(min: number | null, max: number | null): string {
  const asked = [min === null ? null : `at least ${min}`, max === null ? null : `at most ${max}`];
  return asked.filter((limit) => limit !== null).join(" and ") || "a number";
}
