/**
 * A small language for one value of a JSON answer: `$.items[0].state == "ok"`, `$.depth < 100`, `$.error missing`.
 * A path is `$`, then `.name`, `["any name"]` and `[0]`; `.length` of a list is its length. Compared is with one JSON
 * text, number, true, false or null; `<` and the like with numbers only.
 */
export type JsonAssertion = {
  readonly path: readonly (string | number)[];
  readonly operator: Operator;
  readonly value: string | number | boolean | null;
};

const OPERATORS = ["==", "!=", "<=", ">=", "<", ">", "exists", "missing"] as const;
type Operator = (typeof OPERATORS)[number];

/** @returns what is wrong with the text, where something is */
export function parseJsonAssertion(text: string): JsonAssertion | string {
  const path: (string | number)[] = [];
  if (!text.startsWith("$")) return "does not begin with $";
  const step = /\.([A-Za-z_][\w-]*)|\[(\d{1,9})\]|\[("(?:[^"\\]|\\.)*")\]/y;
  step.lastIndex = 1;
  let end = 1;
  for (let found = step.exec(text); found !== null; found = step.exec(text)) {
    end = step.lastIndex;
    const [, name, index, quoted] = found;
    const key = name ?? (index === undefined ? parseJson(quoted ?? "") : Number(index));
    if (typeof key !== "string" && typeof key !== "number")
      return "has a name in brackets that is no JSON text";
    path.push(key);
  }
  const rest = text.slice(end).trim();
  const operator = OPERATORS.find((each) => rest.startsWith(each));
  if (operator === undefined) return `has none of ${OPERATORS.join(" ")} after the path`;
  const operand = rest.slice(operator.length).trim();
  if (operator === "exists" || operator === "missing")
    return operand === "" ? { path, operator, value: null } : `has more after ${operator}`;
  const value = parseJson(operand);
  if (value === undefined || (typeof value === "object" && value !== null))
    return "compares with something that is no JSON text, number, true, false or null";
  const isOrder = operator !== "==" && operator !== "!=";
  if (isOrder && typeof value !== "number") return `compares by ${operator} with something that is no number`;
  return { path, operator, value: value as JsonAssertion["value"] };
}

/** @returns why the value is not as it must be; null where it is */
export function failsJsonAssertion(body: unknown, { path, operator, value }: JsonAssertion): string | null {
  const found = valueAt(body, path);
  if (operator === "exists") return found === undefined ? "there is none" : null;
  if (operator === "missing") return found === undefined ? null : `it is ${shown(found)}`;
  if (found === undefined) return "there is none";
  return holds(found, operator, value) ? null : `it is ${shown(found)}`;
}

function holds(found: unknown, operator: Operator, value: JsonAssertion["value"]): boolean {
  if (operator === "==") return found === value;
  if (operator === "!=") return found !== value;
  if (typeof found !== "number" || typeof value !== "number") return false;
  if (operator === "<") return found < value;
  if (operator === "<=") return found <= value;
  return operator === ">" ? found > value : found >= value;
}

function valueAt(body: unknown, path: readonly (string | number)[]): unknown {
  let value = body;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string | number, unknown>)[key];
  }
  return value;
}

const SHOWN_LENGTH = 80;

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
