import vm from "node:vm";
import { errorCodeOf } from "../../../foundation/errors.ts";

/** A pattern looks at so much of a text. */
export const MATCHED_BYTES = 64 * 1_024;
/** And for so long: some patterns take hours over a text of this size, and all checks would wait for them. */
const MATCH_TIMEOUT_MS = 25;

const SCRIPT = new vm.Script("pattern.test(text)");
let context: { pattern: RegExp | null; text: string } | null = null;

/** V8 looks for the end of its time while it backtracks, which no list of forbidden patterns would do as surely. */
export function matchPattern(pattern: RegExp, text: string): boolean | "too slow" {
  context ??= vm.createContext({ pattern: null, text: "" }) as { pattern: RegExp | null; text: string };
  context.pattern = pattern;
  context.text = text.slice(0, MATCHED_BYTES);
  try {
    return SCRIPT.runInContext(context, { timeout: MATCH_TIMEOUT_MS }) === true;
  } catch (error) {
    if (errorCodeOf(error) === "ERR_SCRIPT_EXECUTION_TIMEOUT") return "too slow";
    throw error;
  } finally {
    context.text = "";
  }
}

export function tooSlow(pattern: RegExp): string {
  return `the pattern ${pattern} took longer than ${MATCH_TIMEOUT_MS} ms, and was given up; write a simpler one`;
}
