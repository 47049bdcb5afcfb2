import type { Strategy } from "../rollouts/index.ts";
import type { EnvironmentName } from "../targets/target.ts";
import type { HealthCheck, SchemaChange } from "./plan-source.ts";

/** What the target can do, as far as it is known before it is tried. */
export type Abilities = {
  /** Split production's traffic by weight. Other environments it never splits. */
  readonly split: boolean | "unknown";
  /** Let requests wait while a migration runs. */
  readonly hold: boolean;
};

export type PlannedService = {
  readonly name: string;
  readonly change: "new" | "changed" | "unchanged";
  readonly checks: readonly HealthCheck[];
  /** Of the release that serves; null: nothing does, or it is not known. */
  readonly kind: "static" | "server" | "unknown" | null;
};

export type DowntimeInput = {
  readonly environment: EnvironmentName;
  readonly services: readonly PlannedService[];
  readonly strategy: Strategy;
  readonly schema: Pick<SchemaChange, "expand" | "hold"> | null;
  /** Expand files not applied yet; null: the database could not be asked. */
  readonly pending: readonly string[] | null;
  /** What pending statements do to those who use the tables, one sentence each. */
  readonly locking: readonly string[];
  readonly rollbackWindowMs: number;
  /** Contract files to be applied after the window; null: not known. */
  readonly pendingContract: readonly string[] | null;
  readonly abilities: Abilities;
};

export type Expected = "none" | "unknown" | `about ${number} s`;
export type ServiceDowntime = {
  readonly name: string;
  readonly expected: Expected;
  readonly because: string[];
};
export type Downtime = {
  readonly expected: Expected;
  /** A line for each reason, with the service's name before it where there are several. */
  readonly because: string[];
  readonly services: ServiceDowntime[];
  readonly warnings: string[];
};

/** What visitors will notice of a deployment, and why. Pure. It says "unknown" rather than promise. */
export function judgeDowntime(input: DowntimeInput): Downtime {
  const shared = schemaReasons(input);
  const services = input.services.map((service) => judgeService(service, input, shared));
  const several = services.length > 1;
  const because = services.flatMap(({ name, because }) =>
    because.map((reason) => (several ? `${name}: ${reason}` : reason)),
  );
  const warnings = [
    ...input.services.flatMap((service) => proofWarnings(service)),
    ...contractWarnings(input),
  ];
  return { expected: worst(services.map(({ expected }) => expected)), because, services, warnings };
}

type Reason = { readonly expected: Expected; readonly text: string };

function judgeService(
  service: PlannedService,
  input: DowntimeInput,
  shared: readonly Reason[],
): ServiceDowntime {
  const reasons = [...ownReasons(service, input), ...(service.change === "new" ? [] : shared)];
  return {
    name: service.name,
    expected: worst(reasons.map(({ expected }) => expected)),
    because: reasons.map(({ text }) => text),
  };
}

function ownReasons(service: PlannedService, { environment, strategy, abilities }: DowntimeInput): Reason[] {
  if (service.change === "unchanged") return [none("its inputs are the same, so it keeps its release")];
  if (service.change === "new") return [none("nothing serves there yet")];
  const reasons: Reason[] = [];
  if (!service.checks.some(({ type }) => type === "http")) {
    reasons.push(unknown("no HTTP check proves the new release, so a broken one could take the traffic"));
  }
  if (strategy.kind === "canary") {
    if (environment !== "production") {
      reasons.push(none(`the target cannot split traffic in ${environment}, so it goes from 0 to 100 %`));
    } else if (abilities.split === false) {
      reasons.push(none("the target cannot split traffic, so it goes from 0 to 100 %"));
    } else if (abilities.split === "unknown") {
      reasons.push(
        unknown(
          "whether this Vercel plan has rolling releases shows only then; without, it goes from 0 to 100 %",
        ),
      );
    }
  }
  if (worst(reasons.map(({ expected }) => expected)) === "none") {
    reasons.push(none("both releases are up and warm, and the switch moves a pointer"));
  }
  return reasons;
}

/** The services share the database, so its reasons are everybody's. */
function schemaReasons({ schema, pending, locking, abilities }: DowntimeInput): Reason[] {
  if (!schema || schema.expand.length === 0) return [];
  const idle = pending?.length === 0;
  const locks = locking.map((text) =>
    unknown(`how long depends on the table's size and use: ${text.replace(/\.$/, "")}`),
  );
  const { hold } = schema;
  if (!hold) {
    if (pending === null) return [unknown("which migrations are pending could not be asked"), ...locks];
    return locks;
  }
  if (!abilities.hold) {
    return [
      unknown("the target cannot let requests wait, so the migration runs beside the traffic"),
      ...locks,
    ];
  }
  const most = `none fails while fewer than ${hold.maxRequests.toLocaleString("en-US")} wait`;
  if (idle) return [none(`requests wait for the moment in which nothing is found to migrate; ${most}`)];
  const seconds = Math.ceil(hold.maxMs / 1_000);
  // They are kept from the locks by waiting, unless the migration outlasts the hold.
  return [{ expected: `about ${seconds} s`, text: `requests wait up to ${seconds} s; ${most}` }, ...locks];
}

/** What would let a broken release through. */
function proofWarnings({ name, change, checks, kind }: PlannedService): string[] {
  if (change === "unchanged") return [];
  const http = checks.filter((check) => check.type === "http");
  const how = 'Give it "health.path" in signalbox.yaml.';
  if (http.length === 0) return [`${name} has no HTTP check, so a broken release could not be told. ${how}`];
  const isDefault = http.every(({ path, contains }) => path === "/" && contains === null);
  if (!isDefault || kind === "static") return [];
  return [`${name} is only asked for "/", so a release broken elsewhere could not be told. ${how}`];
}

function contractWarnings({ pendingContract, rollbackWindowMs }: DowntimeInput): string[] {
  if (pendingContract?.length === 0 || pendingContract === null) return [];
  const names = pendingContract.join(", ");
  return [
    `The rollback window closes ${spanText(rollbackWindowMs)} after it is live: then the contract runs (${names}), ` +
      "and no rollback goes back across it.",
  ];
}

function worst(all: readonly Expected[]): Expected {
  if (all.includes("unknown")) return "unknown";
  const seconds = all.map((each) => Number(/\d+/.exec(each)?.[0] ?? 0));
  const most = Math.max(0, ...seconds);
  return most === 0 ? "none" : `about ${most} s`;
}

function none(text: string): Reason {
  return { expected: "none", text };
}

function unknown(text: string): Reason {
  return { expected: "unknown", text };
}

/** `90 s`, `5 min`, `1.5 h`: in the largest unit that stays short. */
export function spanText(ms: number): string {
  if (ms >= 3_600_000) return `${Math.round(ms / 360_000) / 10} h`;
  if (ms >= 120_000) return `${Math.round(ms / 6_000) / 10} min`;
  return `${Math.round(ms / 100) / 10} s`;
}
