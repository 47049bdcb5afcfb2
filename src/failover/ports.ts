import type { HealthPolicy, PrepareInput } from "../deployments/index.ts";
import type { BuildInput, Target } from "../targets/target.ts";
import type { CloudflareOptions, Side, WebhookOptions } from "./policy.ts";

/** Port: the second place. A target like any other, whose hosts and crons can be set by hand. */
export type StandbyTarget = Pick<
  Target,
  "ensureProject" | "upload" | "build" | "observe" | "shift" | "publicUrl" | "cancel"
> & {
  /** Points a host to a release. Idempotent. */
  assignHost(host: string, targetDeploymentId: string, signal: AbortSignal): Promise<void>;
  /** The host under which the standby of a project can be looked at, whoever serves. */
  standbyHost(targetProject: string): string;
  /** Whether scheduled requests are made to the project. `unsupported`: it makes none at all. */
  setCrons(targetProjectId: string, enabled: boolean, signal: AbortSignal): Promise<"done" | "unsupported">;
};

export type StandbyService = {
  readonly name: string;
  readonly targetProject: string;
  readonly settings: BuildInput["settings"];
  readonly env: Readonly<Record<string, string>>;
  readonly health: HealthPolicy;
};

/** Port: a deployment's code and configuration, read again. @throws AppError `unprocessable`, `not_found`. */
export type PrepareStandby = (
  input: PrepareInput,
  signal: AbortSignal,
) => Promise<{
  readonly files: BuildInput["files"];
  readonly services: readonly StandbyService[];
  readonly commit: BuildInput["commit"];
}>;

/** Port: sends the dock the files that it lacks. @throws AppError `unprocessable` where only the user has them. */
export type ResupplyStandby = (
  input: PrepareInput,
  missing: readonly string[],
  signal: AbortSignal,
) => Promise<void>;

/** Port: the variables of a project at the primary. `value` null: it cannot be read back. */
export type PrimaryVariables = (
  targetProjectId: string,
  signal: AbortSignal,
) => Promise<readonly { readonly key: string; readonly value: string | null }[]>;

/**
 * Port: what a Statuspage says of itself: `none`, `minor`, `major`, `critical`; null: no answer. `projectId`: whose
 * address it is. Only our own faults are thrown.
 */
export type StatusPage = (
  page: { readonly projectId: string; readonly url: string },
  signal: AbortSignal,
) => Promise<string | null>;

export type HostnamePlace<O> = {
  readonly projectId: string;
  readonly hostname: string;
  readonly options: O;
};

export type HostnameReading = {
  readonly side: Side | "elsewhere";
  /** Where it points. */
  readonly detail: string;
};

/**
 * Port: moves a hostname between the two sides. Implemented in `src/providers/hostname-switch/`, one file each; every
 * one passes `test/contract/hostname-switch.ts`. A method throws AppError: `upstream` for what a retry may cure,
 * `conflict` where the hostname points to neither side, `unprocessable` for what only a person can put right.
 */
export type HostnameSwitch<O> = {
  readonly name: string;
  /** Where it points now, as the other side has it. `unsupported`: it cannot tell. */
  read(place: HostnamePlace<O>, signal: AbortSignal): Promise<HostnameReading | "unsupported">;
  /**
   * Idempotent by its wish: pointing there already is done. `key` names the switch; `sequence` grows with each owner of
   * the place, so that the other side can tell a late request from a new one.
   */
  point(
    change: HostnamePlace<O> & {
      readonly to: Side;
      readonly key: string;
      readonly sequence: number;
      readonly reason: string;
    },
    signal: AbortSignal,
  ): Promise<void>;
};

/** One for each kind that a configuration can name. */
export type HostnameSwitches = {
  readonly cloudflare: HostnameSwitch<CloudflareOptions>;
  readonly webhook: HostnameSwitch<WebhookOptions>;
};
