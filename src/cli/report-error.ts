import { AppError, messageOf } from "../foundation/errors.ts";
import { ApiError } from "./client/api-error.ts";
import type { Paint } from "./terminal/paint.ts";
import { CONFIG_FILE } from "./tree/tree.ts";

/** What a person reads: what happened, its particulars, what to do next, and the request id for whoever looks it up. */
export function errorLines(thrown: unknown, paint: Paint): string[] {
  const lines = [`${paint.red("✗")} ${messageOf(thrown)}`];
  if (!(thrown instanceof AppError)) {
    const stack = thrown instanceof Error ? (thrown.stack ?? "").split("\n").slice(1, 6) : [];
    return [
      ...lines,
      ...stack.map((line) => paint.dim(line)),
      "  This is a defect of Signalbox. Please report it.",
    ];
  }
  for (const detail of detailLines(thrown.details)) lines.push(`  ${detail}`);
  if (thrown.hint !== undefined) lines.push(`  ${paint.cyan("→")} ${thrown.hint}`);
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

type Mistake = { line?: number; column?: number; path?: unknown; message?: string; hint?: string };

/** The mistakes of a configuration file, each with its place; other details are for machines. */
function detailLines(details: unknown): string[] {
  if (!Array.isArray(details)) return [];
  return (details as Mistake[]).flatMap((mistake) => {
    if (typeof mistake?.message !== "string" || typeof mistake.line !== "number") return [];
    const path = Array.isArray(mistake.path) ? mistake.path.join(".") : mistake.path;
    // The message mostly names the key already.
    const named = typeof path !== "string" || path === "" || mistake.message.includes(path);
    const hint = mistake.hint === undefined ? [] : [`    → ${mistake.hint}`];
    const place = `${CONFIG_FILE}:${mistake.line}:${mistake.column ?? 1}`;
    return [`${place}  ${named ? "" : `${path}: `}${mistake.message}`, ...hint];
  });
}
