import type { z } from "zod";
import { closest } from "./suggest.ts";

export type DescribedIssue = {
  readonly path: readonly PropertyKey[];
  /** True: the key is wrong, not its value. */
  readonly atKey: boolean;
  readonly message: string;
  readonly hint: string;
};

type Issue = z.core.$ZodIssue;

/** Turns the schema's issues into sentences with a way out. `data` is what was parsed, for the values. */
export function describeIssues(issues: readonly Issue[], data: unknown): DescribedIssue[] {
  const seen = new Set<string>();
  return issues
    .filter((issue) => {
      // A list where text belongs is not "empty text" as well: the first issue of a value is the one that counts.
      const place = issue.path.map(String).join("\0");
      const first = issue.code === "unrecognized_keys" || !seen.has(place);
      seen.add(place);
      return first;
    })
    .flatMap((issue) => describe(issue, data));
}

function describe(issue: Issue, data: unknown): DescribedIssue[] {
  const { path } = issue;
  const value = valueAt(data, path);
  const found = { path, atKey: false };
  const name = nameOf(path);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => unknownKey([...path, key], key, name));
    case "invalid_type":
      return [
        {
          ...found,
          message: `${name} must be ${article(issue.expected)}, not ${show(value)}`,
          hint: typeHint(value),
        },
      ];
    case "invalid_value":
      return [
        {
          ...found,
          message: `${name} cannot be ${show(value)}`,
          hint: oneOf(issue.values.map(String), value),
        },
      ];
    case "invalid_key":
      return issue.issues.map((inner) => ({
        path,
        atKey: true,
        message: `"${String(path.at(-1))}" ${inner.message}`,
        hint:
          path.at(-2) === "checks"
            ? "Rename it, for example orders-queue."
            : "Rename it, for example API_URL.",
      }));
    case "invalid_union":
      return describeUnion(issue, data);
    case "too_small":
    case "too_big":
      return [
        { ...found, message: boundMessage(issue, name, value), hint: "Use a value within the limits." },
      ];
    default:
      return [
        { ...found, message: `${name}: ${show(value)} ${sentence(issue.message)}`, hint: hintFor(path) },
      ];
  }
}

/** Of a union, the branch whose shape the value has: its issues are deeper, or no mere mismatch of type. */
function describeUnion(issue: Extract<Issue, { code: "invalid_union" }>, data: unknown): DescribedIssue[] {
  const meant = issue.errors.find((branch) =>
    branch.every(
      (inner) => inner.path.length > 0 || (inner.code !== "invalid_type" && inner.code !== "invalid_value"),
    ),
  );
  if (meant !== undefined) {
    return describeIssues(
      meant.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })),
      data,
    );
  }
  const expected = issue.errors.flat().map((inner) => {
    if (inner.code === "invalid_value") return inner.values.map((value) => `"${String(value)}"`).join(" or ");
    return inner.code === "invalid_type" ? article(inner.expected) : inner.message;
  });
  const value = valueAt(data, issue.path);
  return [
    {
      path: issue.path,
      atKey: false,
      message: `${nameOf(issue.path)} must be ${[...new Set(expected)].join(" or ")}, not ${show(value)}`,
      hint: hintFor(issue.path),
    },
  ];
}

const KEYS: Readonly<Record<string, readonly string[]>> = {
  "": ["name", "build", "env", "health", "services", "migrations", "checks", "environments"],
  build: ["framework", "install", "command", "output", "root", "start"],
  health: ["path", "timeout", "interval", "min_healthy_time", "deadline", "expect_status"],
  environments: ["production", "staging", "preview", "development"],
  failover: [
    "to",
    "hostname",
    "url",
    "switch",
    "automatic",
    "probe",
    "away",
    "recovered",
    "min_interval",
    "max_per_day",
  ],
  switch: ["cloudflare", "webhook"],
  cloudflare: ["zone", "primary", "standby", "ttl", "proxied"],
  webhook: ["url"],
  probe: ["interval", "timeout", "primary", "witnesses", "status_page"],
  away: ["failures", "for"],
  recovered: ["successes", "for"],
  strategy: ["canary"],
  canary: ["steps", "max_error_rate", "min_requests"],
  steps: ["weight", "bake"],
  services: ["database", "redis", "browserbase"],
  database: ["host", "port", "ssl"],
  redis: ["url"],
  browserbase: ["projectId", "region"],
  vercel: ["projectId", "teamId", "productionBranch"],
  monitoring: ["sentryDsn", "prometheusEndpoint"],
};
const ENVIRONMENT_KEYS = [
  "env",
  "strategy",
  "health",
  "vercel",
  "features",
  "services",
  "monitoring",
  "checks",
  "failover",
  "name",
];

function unknownKey(path: readonly PropertyKey[], key: string, within: string): DescribedIssue {
  const allowed = allowedIn(path.slice(0, -1));
  const meant = closest(key, allowed);
  return {
    path,
    atKey: true,
    message: `"${key.slice(0, 80)}" is no key of ${within}`,
    hint: meant === null ? `It may have: ${allowed.join(", ")}.` : `Did you mean "${meant}"?`,
  };
}

function allowedIn(parent: readonly PropertyKey[]): readonly string[] {
  if (parent.length === 2 && parent[0] === "environments") return ENVIRONMENT_KEYS;
  const name = parent.findLast((segment) => typeof segment === "string") ?? "";
  return KEYS[String(name)] ?? [];
}

function hintFor(path: readonly PropertyKey[]): string {
  switch (path.at(-1)) {
    case "timeout":
    case "interval":
    case "deadline":
    case "bake":
    case "min_healthy_time":
      return "Write a duration such as 500ms, 10s, 2m or 1h, of at most a day.";
    case "checks":
      return "Write a mapping of names, as `checks: { shop-page: { type: http, url: https://… } }`.";
    case "failover":
      return "Write `failover: dock`, or a mapping as in docs/failover.md.";
    case "strategy":
      return "Write `strategy: instant`, or `strategy: { canary: { steps: [{ weight: 10, bake: 30s }] } }`.";
    case "expect_status":
      return "Write a status or a range, as 200 or 200..399.";
    case "weight":
      return "Weights are whole percents from 1 to 99, each above the one before; the last step to 100 goes by itself.";
    default:
      return "See schemas/signalbox.schema.json for what may stand here.";
  }
}

function oneOf(values: readonly string[], value: unknown): string {
  const meant = closest(String(value), values);
  return meant === null ? `It may be: ${values.join(", ")}.` : `Did you mean "${meant}"?`;
}

function typeHint(value: unknown): string {
  if (value === undefined) return "Add it.";
  if (value === null) return "Give it a value, or remove the line.";
  if (typeof value === "number" || typeof value === "boolean")
    return "If it is meant as text, put it in quotes.";
  return "See schemas/signalbox.schema.json for what may stand here.";
}

function boundMessage(
  issue: Extract<Issue, { code: "too_small" | "too_big" }>,
  name: string,
  value: unknown,
): string {
  if (!issue.message.startsWith("Too ")) return `${name} ${issue.message}`;
  const bound = issue.code === "too_small" ? `at least ${issue.minimum}` : `at most ${issue.maximum}`;
  return `${name} must be ${bound}, not ${show(value)}`;
}

function sentence(message: string): string {
  return message.startsWith("Invalid ")
    ? `is an ${message.charAt(0).toLowerCase()}${message.slice(1)}`
    : message;
}

function nameOf(path: readonly PropertyKey[]): string {
  if (path.length === 0) return "signalbox.yaml";
  return path.map(String).join(".").slice(0, 200);
}

function article(type: string): string {
  if (type === "object" || type === "record") return "a mapping (key: value)";
  if (type === "array") return "a list";
  if (type === "int") return "a whole number";
  return type === "string" ? "text" : `a ${type}`;
}

function show(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  const text = String(value);
  return `"${text.length > 60 ? `${text.slice(0, 57)}…` : text}"`;
}

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let value = data;
  for (const segment of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.getOwnPropertyDescriptor(value, segment)?.value;
  }
  return value;
}
