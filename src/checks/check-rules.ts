import { z } from "zod";
import type { HeartbeatSchedule } from "./heartbeats/schedule.ts";
import type { ProbeType } from "./model.ts";
import type { ProbeKind } from "./probe-kind.ts";
import {
  isSecretReference,
  isVariableReference,
  mapInside,
  type Resolved,
  withoutSecrets,
} from "./references.ts";

/** What is known of each type without running it. The kinds are providers: the composition root hands them in. */
export type CheckRules = {
  readonly kinds: ReadonlyMap<ProbeType, Pick<ProbeKind, "settings" | "subject" | "local" | "schedule">>;
  /** SIGNALBOX_ALLOW_LOCAL_CHECKS: a commit may ask for what runs on the prober's own machine. */
  readonly allowLocal: boolean;
};

/** Nothing is known of the settings, and nothing local is let through. */
export const NO_RULES: CheckRules = { kinds: new Map(), allowLocal: false };

/** Whether it reads or runs things on the prober's own machine. */
export function isLocal({ kinds }: CheckRules, type: ProbeType): boolean {
  return kinds.get(type)?.local === true;
}

/** What is wrong with the settings of a type, other than in the places of references, which are filled in later. */
export function settingsIssues(rules: CheckRules, type: ProbeType, settings: unknown): z.core.$ZodIssue[] {
  const kind = rules.kinds.get(type);
  if (kind === undefined) return [];
  const references: string[] = [];
  const fill = (value: unknown, path: string): unknown => {
    if (isSecretReference(value) || isVariableReference(value)) {
      references.push(path);
      return PLACEHOLDER;
    }
    return mapInside(value, (each, key) => fill(each, `${path}\0${key}`));
  };
  const result = kind.settings.safeParse(fill(settings, ""));
  if (result.success) return [];
  const within = (path: string) =>
    references.some((place) => path === place || path.startsWith(`${place}\0`));
  return (result.error.issues as z.core.$ZodIssue[]).filter(
    ({ path }) => !within(["", ...path.map(String)].join("\0")),
  );
}

const PLACEHOLDER = "to-be-filled-in";

/** The names of a type's settings, for whoever misspelt one. */
export function settingNames(rules: CheckRules, type: ProbeType): string[] {
  const kind = rules.kinds.get(type);
  if (kind === undefined) return [];
  const schema = z.toJSONSchema(kind.settings, { io: "input", unrepresentable: "any" });
  const shapes = [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])];
  return [
    ...new Set(shapes.flatMap((each) => Object.keys((each as { properties?: object }).properties ?? {}))),
  ];
}

/**
 * What a check asks, for people, without secrets: of settings whose references are filled in. Null: they are not as
 * the type wants them.
 */
export function subjectOf(
  rules: CheckRules,
  type: ProbeType,
  { settings, secrets }: Pick<Resolved, "settings" | "secrets">,
): string | null {
  const kind = rules.kinds.get(type);
  const parsed = kind?.settings.safeParse(settings);
  if (kind === undefined || parsed?.success !== true) return null;
  return withoutSecrets(kind.subject(parsed.data), secrets);
}

/** When a check of a type that calls us is to be heard of. Null: it is asked, as nearly all are. */
export function scheduleOf(rules: CheckRules, type: ProbeType, settings: unknown): HeartbeatSchedule | null {
  const kind = rules.kinds.get(type);
  const parsed = kind?.schedule ? kind.settings.safeParse(settings) : null;
  return parsed?.success ? (kind?.schedule?.(parsed.data) ?? null) : null;
}
