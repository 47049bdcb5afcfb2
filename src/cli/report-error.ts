import { AppError, messageOf } from "../foundation/errors.ts";
import { ApiError } from "./client/api-error.ts";
import type { Paint } from "./terminal/paint.ts";
import { CONFIG_FILE } from "./tree/tree.ts";

/** What a person reads: what happened, its particulars, what to do next, and the request id for whoever looks it up. */
export function errorLines(thrown: unknown, paint: Paint): string[] {
  const details = thrown instanceof AppError ? mistakesOf(thrown.details) : [];
  const lines = [`${paint.red("✗")} ${headline(messageOf(thrown), details)}`];
  if (!(thrown instanceof AppError)) {
    const stack = thrown instanceof Error ? (thrown.stack ?? "").split("\n").slice(1, 6) : [];
    return [
      ...lines,
      ...stack.map((line) => paint.dim(line)),
      "  This is a defect of Signalbox. Please report it.",
    ];
  }
  for (const mistake of details) lines.push(...mistakeLines(mistake));
  const told = details.some((mistake) => mistake.hint === thrown.hint);
  if (thrown.hint !== undefined && !told) lines.push(`  ${paint.cyan("→")} ${inCommands(thrown.hint)}`);
  if (thrown instanceof ApiError && thrown.requestId !== null) {
    lines.push(paint.dim(`  request ${thrown.requestId}`));
  }
  return lines;
}

/** The same for a machine: `{error: {code, message, hint?, details?, requestId?}}`, as the API says it. */
export function errorJson(thrown: unknown): unknown {
  if (!(thrown instanceof AppError)) return { error: { code: "internal", message: messageOf(thrown) } };
  return {
    error: {
      code: thrown.code,
      message: thrown.message,
      hint: thrown.hint,
      details: thrown.details,
      ...(thrown instanceof ApiError && thrown.requestId !== null ? { requestId: thrown.requestId } : {}),
    },
  };
}

type Mistake = { line: number; column?: number; path?: unknown; message: string; hint?: string };

/** The mistakes of a configuration file, each with its place; other details are for machines. */
function mistakesOf(details: unknown): Mistake[] {
  if (!Array.isArray(details)) return [];
  return (details as Partial<Mistake>[]).filter(
    (detail): detail is Mistake => typeof detail?.message === "string" && typeof detail.line === "number",
  );
}

function mistakeLines(mistake: Mistake): string[] {
  const path = Array.isArray(mistake.path) ? mistake.path.join(".") : mistake.path;
  // The message mostly names the key already.
  const named = typeof path !== "string" || path === "" || mistake.message.includes(path);
  const place = `${CONFIG_FILE}:${mistake.line}:${mistake.column ?? 1}`;
  const hint = mistake.hint === undefined ? [] : [`      → ${mistake.hint}`];
  return [`  ${place}  ${named ? "" : `${path}: `}${mistake.message}`, ...hint];
}

/** The message without the mistakes that are listed below it. */
function headline(message: string, mistakes: readonly Mistake[]): string {
  const colon = message.indexOf(": ");
  const repeats = mistakes.length > 0 && mistakes.every((mistake) => message.includes(mistake.message));
  return repeats && colon !== -1 ? `${message.slice(0, colon)}:` : message;
}

/** Hints of the API speak of requests; here one types commands. */
function inCommands(hint: string): string {
  return hint
    .replaceAll("GET /api/deploy/list", "`signalbox list`")
    .replaceAll("POST /api/deploy/rollback", "`signalbox rollback`")
    .replaceAll("POST /api/deploy/approve/:deploymentId", "`signalbox approve <deployment>`")
    .replaceAll("GET /api/health/ready", "`signalbox doctor`");
}
