import * as z from "zod";
import type { PrometheusResult } from "./prometheus.ts";

const sample = z.tuple([z.number(), z.string()]);
const success = z.object({
  status: z.literal("success"),
  data: z.discriminatedUnion("resultType", [
    z.object({ resultType: z.literal("scalar"), result: sample }),
    z.object({ resultType: z.literal("vector"), result: z.array(z.object({ value: sample.optional() })) }),
    z.object({ resultType: z.literal("matrix") }),
    z.object({ resultType: z.literal("string") }),
  ]),
});
const failure = z.object({ status: z.literal("error"), errorType: z.string(), error: z.string() });

/** Of a message that a stranger wrote, this much is shown. */
const SHOWN = 300;

/** Reads the answer to an instant query: one finite number, or why there is none. */
export function readAnswer(status: number, text: string): PrometheusResult {
  const json = parse(text);
  const refused = failure.safeParse(json);
  if (refused.success)
    return failed(`it was refused (${shown(refused.data.errorType)}): ${shown(refused.data.error)}`);
  if (status < 200 || status > 299) return failed(`HTTP status ${status}`);
  if (json === undefined) return failed("its answer is no JSON");
  const answer = success.safeParse(json);
  if (!answer.success) return failed("its answer is none of Prometheus' query API");
  const { data } = answer.data;
  switch (data.resultType) {
    case "scalar":
      return numberFrom(data.result[1]);
    case "vector":
      return data.result.length === 1
        ? numberFrom(data.result[0]?.value?.[1])
        : failed(notOne(data.result.length));
    default:
      return failed(`it yields a ${data.resultType}, not a number`);
  }
}

function notOne(series: number): string {
  if (series === 0) return "it yields no series, where one number is needed";
  return `it yields ${series} series, where one number is needed: aggregate them, as with sum(…)`;
}

/** Prometheus writes `NaN`, `+Inf` and `-Inf` too: a division by no requests, which says nothing of a release. */
function numberFrom(text: string | undefined): PrometheusResult {
  if (text === undefined) return failed("it yields a histogram, not a number");
  const value = text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(value)
    ? { value, error: null }
    : failed(`it yields ${shown(text)}, not a finite number`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failed(error: string): PrometheusResult {
  return { value: null, error };
}

function shown(text: string): string {
  const clean = text.replace(/\p{Cc}+/gu, " ");
  return clean.length > SHOWN ? `${clean.slice(0, SHOWN)}…` : clean;
}
