import {
  type CheckRules,
  isLocal,
  isVariableReference,
  PROBE_TYPES,
  type ProbeType,
  SEED_NAMES,
  settingNames,
  settingsIssues,
  timeoutProblem,
} from "../checks/index.ts";
import { CHECK_FIELDS } from "./config-checks.ts";
import { type DescribedIssue, describeIssues } from "./config-issues.ts";
import { parseDuration } from "./duration.ts";
import { closest } from "./suggest.ts";

type Row = Readonly<Record<string, unknown>>;
/** A check as it is written, and where. */
type Written = { readonly path: readonly string[]; readonly name: string; readonly check: Row };

/**
 * What the file's own schema cannot know of its checks: the settings of each type, what they depend on, and which
 * variables there are. Reads the raw data, so that these problems are told together with all others.
 */
export function checkProblems(data: unknown, rules: CheckRules): DescribedIssue[] {
  const file = asRow(data);
  const environments = Object.entries(asRow(file.environments));
  const common = writtenIn(file, []);
  const everywhere = environments.map(([name, own]) => {
    const written = writtenIn(asRow(own), ["environments", name]);
    return { written, names: namesIn(file, asRow(own), [...common, ...written]), own: asRow(own) };
  });
  const anywhere = [...namesIn(file, {}, common), ...everywhere.flatMap(({ names }) => names)];
  const envs = [file, ...everywhere.map(({ own }) => own)];
  return [
    ...common.flatMap((each) => problemsOf(each, { rules, data, names: anywhere, envs })),
    ...everywhere.flatMap(({ written, names, own }) => [
      ...written.flatMap((each) => problemsOf(each, { rules, data, names, envs: [file, own] })),
      ...circles([...common, ...written]),
    ]),
    ...(environments.length === 0 ? circles(common) : []),
  ].filter(isFirst);
}

function writtenIn(block: Row, path: readonly string[]): Written[] {
  return Object.entries(asRow(block.checks)).map(([name, check]) => ({
    path: [...path, "checks", name],
    name,
    check: asRow(check),
  }));
}

/** What may be depended on: what is written, and what is checked without being written. */
function namesIn(file: Row, own: Row, written: readonly Written[]): string[] {
  const used = Object.keys(asRow(own.services));
  const monitored = Object.keys(asRow(own.monitoring)).includes("prometheusEndpoint") ? ["prometheus"] : [];
  const services = Object.keys(asRow(file.services));
  return [
    ...written.map(({ name }) => name),
    ...used,
    ...monitored,
    ...(services.length > 0 ? services : ["app"]),
  ];
}

type Around = {
  readonly rules: CheckRules;
  readonly data: unknown;
  readonly names: readonly string[];
  readonly envs: readonly Row[];
};

function problemsOf(written: Written, around: Around): DescribedIssue[] {
  const { check, path } = written;
  const type = PROBE_TYPES.find((each) => each === check.type);
  if (type === undefined) return [];
  return [
    ...localProblem(path, type, around.rules),
    ...settingsProblems(written, type, around),
    ...timing(written),
    ...parents(written, around.names),
    ...variables(written, around.envs),
  ];
}

function localProblem(path: readonly string[], type: ProbeType, rules: CheckRules): DescribedIssue[] {
  if (rules.allowLocal || !isLocal(rules, type)) return [];
  return [
    {
      path: [...path, "type"],
      atKey: false,
      message: `a check of the type "${type}" runs on the prober's own machine, and no commit may ask for that`,
      hint: "An owner may add it by POST /api/checks; or start the installation with SIGNALBOX_ALLOW_LOCAL_CHECKS=1.",
    },
  ];
}

function settingsProblems(
  { check, path }: Written,
  type: ProbeType,
  { rules, data }: Around,
): DescribedIssue[] {
  const settings = Object.fromEntries(Object.entries(check).filter(([field]) => !CHECK_FIELDS.has(field)));
  return settingsIssues(rules, type, settings).flatMap((issue) => {
    const at = [...path, ...issue.path];
    if (issue.code === "unrecognized_keys" && issue.path.length === 0)
      return issue.keys.map((key) => unknownSetting(path, key, type, settingNames(rules, type)));
    const [first] = describeIssues([{ ...issue, path: at }], withoutSecrets(data));
    return first === undefined
      ? []
      : [{ ...first, hint: `docs/health/${type}.md has every setting of ${type}.` }];
  });
}

function unknownSetting(
  path: readonly string[],
  key: string,
  type: ProbeType,
  names: readonly string[],
): DescribedIssue {
  const allowed = [...names, ...CHECK_FIELDS];
  const meant = closest(key, allowed);
  return {
    path: [...path, key],
    atKey: true,
    message: `"${key.slice(0, 80)}" is no setting of a check of the type ${type}`,
    hint: meant === null ? `It may have: ${allowed.join(", ")}.` : `Did you mean "${meant}"?`,
  };
}

/** An error must not tell a password that stands in the file where something else is wrong. */
function withoutSecrets(data: unknown): unknown {
  if (Array.isArray(data)) return data.map(withoutSecrets);
  if (typeof data === "string") return /[@=]|^.{40,}$/s.test(data) ? "…" : data;
  if (typeof data !== "object" || data === null) return data;
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      typeof value === "string" && SECRET_KEY.test(key) ? "…" : withoutSecrets(value),
    ]),
  );
}

const SECRET_KEY = /pass|secret|token|key|auth|credential/i;

function timing({ check, path }: Written): DescribedIssue[] {
  const ms = (field: string) => (typeof check[field] === "string" ? parseDuration(check[field]) : null);
  const [intervalMs, timeoutMs] = [ms("interval") ?? 30_000, ms("timeout")];
  const problem = timeoutMs === null ? null : timeoutProblem({ intervalMs, timeoutMs });
  if (problem === null) return [];
  return [
    {
      path: [...path, "timeout"],
      atKey: false,
      message: `${path.join(".")}: ${problem}`,
      hint: "Give it at most its interval; from an interval of 1m on it may be longer.",
    },
  ];
}

function parents({ check, path, name }: Written, names: readonly string[]): DescribedIssue[] {
  const given: unknown[] = Array.isArray(check.depends_on) ? check.depends_on : [];
  return given.flatMap((parent, at) => {
    if (typeof parent !== "string") return [];
    const place = { path: [...path, "depends_on", at], atKey: false };
    if (parent === name)
      return [{ ...place, message: `${path.join(".")} depends on itself`, hint: "Remove it." }];
    if (names.includes(parent) || SEED_NAMES.test(parent)) return [];
    const meant = closest(parent, names);
    return [
      {
        ...place,
        message: `${path.join(".")} depends on "${parent.slice(0, 80)}", and there is no check of that name`,
        hint: meant === null ? `There are: ${[...new Set(names)].join(", ")}.` : `Did you mean "${meant}"?`,
      },
    ];
  });
}

/** Checks that depend on each other would all be children of one that is down. */
function circles(written: readonly Written[]): DescribedIssue[] {
  const byName = new Map(written.map((each) => [each.name, each]));
  const parentsOf = (name: string): string[] => {
    const given = byName.get(name)?.check.depends_on;
    return Array.isArray(given) ? given.filter((each) => typeof each === "string" && each !== name) : [];
  };
  for (const { name, path } of byName.values()) {
    const seen = new Set<string>();
    const next = parentsOf(name);
    for (let parent = next.pop(); parent !== undefined; parent = next.pop()) {
      if (parent === name) {
        const message = `${path.join(".")} depends on itself by way of ${[...seen].join(", ")}`;
        return [
          { path: [...path, "depends_on"], atKey: true, message, hint: "Break the circle at one of them." },
        ];
      }
      if (seen.has(parent)) continue;
      seen.add(parent);
      next.push(...parentsOf(parent));
    }
  }
  return [];
}

function variables({ check, path }: Written, envs: readonly Row[]): DescribedIssue[] {
  const known = envs.flatMap((block) => Object.keys(asRow(block.env)));
  const find = (value: unknown, at: readonly string[]): DescribedIssue[] => {
    if (isVariableReference(value)) {
      if (known.includes(value.variable)) return [];
      const meant = closest(value.variable, known);
      const hint = meant === null ? "Add it to env, or use { secret: NAME }." : `Did you mean "${meant}"?`;
      return [
        { path: at, atKey: false, message: `${at.join(".")}: there is no variable ${value.variable}`, hint },
      ];
    }
    if (typeof value !== "object" || value === null) return [];
    return Object.entries(value).flatMap(([key, each]) => find(each, [...at, key]));
  };
  return find(check, path);
}

function asRow(value: unknown): Row {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Row) : {};
}

/** What is written for all environments is wrong once, not once for each. */
function isFirst(issue: DescribedIssue, at: number, all: readonly DescribedIssue[]): boolean {
  return (
    all.findIndex(({ path, message }) => message === issue.message && `${path}` === `${issue.path}`) === at
  );
}
