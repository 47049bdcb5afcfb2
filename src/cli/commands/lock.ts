import { usageError } from "../arguments.ts";
import { type Command, ENVIRONMENT_OPTION, PROJECT_OPTION } from "../command.ts";
import { EXIT } from "../exit-code.ts";

/** A lock as the API tells it. Null: all projects, all environments. */
export type Lock = {
  readonly id: string;
  readonly project: string | null;
  readonly environment: string | null;
  readonly owner: string;
  readonly reason: string;
  readonly createdAt: string;
  readonly expiresAt: string | null;
};

const UNIT_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

export const lock: Command = {
  name: "lock",
  summary: "let nothing be deployed to a place for a while",
  positionals: { usage: "", max: 0 },
  options: {
    env: { ...ENVIRONMENT_OPTION, help: "only this environment (default: all)" },
    project: { ...PROJECT_OPTION, help: "only this project (default: all)" },
    reason: { type: "string", value: "text", help: "required: why; whoever waits reads it" },
    ttl: {
      type: "string",
      value: "time",
      help: "it ends by itself then: 30m, 2h, 7d (default 24h, at most 30d)",
    },
  },
  examples: ["signalbox lock --env production --reason 'moving the database' --ttl 2h"],
  async run(context, args) {
    const reason = args.text("reason");
    if (reason === null) {
      throw usageError(
        "`signalbox lock` needs --reason: why may nothing be deployed?",
        "signalbox lock --env production --reason 'moving the database' --ttl 2h",
      );
    }
    const [environment, project, ttl] = [args.text("env"), args.text("project"), args.text("ttl")];
    const answer = await context.api().post<{ lock: Lock }>("/api/locks", {
      reason,
      ...(environment === null ? {} : { environment }),
      ...(project === null ? {} : { project }),
      ...(ttl === null ? {} : { ttlMs: spanMs(ttl) }),
    });
    if (context.json) context.printJson(answer);
    else {
      const { id, expiresAt } = answer.lock;
      context.print(
        `${context.paint.green("✓")} ${id} locks ${placeOf(answer.lock)} until ${timeOf(expiresAt)}.`,
      );
      context.note(`To end it before: signalbox unlock ${id}`);
    }
    return EXIT.ok;
  },
};

/** What a lock or a freeze is about: `shop in production`. */
export function placeOf({ project, environment }: Pick<Lock, "project" | "environment">): string {
  return `${project ?? "every project"} in ${environment ?? "every environment"}`;
}

/** `2026-11-24 08:00 UTC`. */
export function timeOf(iso: string | null): string {
  return iso === null ? "it is released" : `${iso.slice(0, 16).replace("T", " ")} UTC`;
}

function spanMs(text: string): number {
  const [, count, unit] = /^(\d{1,5})([mhd])$/.exec(text) ?? [];
  if (count !== undefined && unit !== undefined) return Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
  throw usageError(`--ttl ${text} is no time.`, "A number and a unit: 30m, 2h, 7d.");
}
