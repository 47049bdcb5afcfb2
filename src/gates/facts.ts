import type { EnvironmentName } from "../targets/target.ts";
import type { Freeze } from "./freeze.ts";

/** What an environment asks for before a release may take traffic. */
export type GatePolicy = {
  /** Null: nobody is asked. */
  readonly approvals: {
    readonly required: number;
    /** Names or ids of tokens. Empty: any deployer. */
    readonly reviewers: readonly string[];
    /** True: whoever started the deployment may approve it too. */
    readonly selfApproval: boolean;
    /** So long after it asked, with too few approvals, it is rejected. */
    readonly expiresMs: number;
  } | null;
  /** Not before so long after it asked. 0: no wait. */
  readonly waitMs: number;
};

/** Somebody's word on a deployment as it was when they gave it: `digest` says how it was. */
export type Approval = {
  readonly id: string;
  readonly deploymentId: string;
  readonly digest: string;
  readonly decision: "approve" | "reject";
  readonly actorId: string | null;
  readonly actorName: string;
  readonly comment: string | null;
  readonly at: Date;
};

/** Nothing begins, and nothing takes traffic, where it applies. Null: all projects, all environments. */
export type Lock = {
  readonly id: string;
  readonly projectId: string | null;
  readonly environment: EnvironmentName | null;
  readonly ownerId: string | null;
  readonly ownerName: string;
  readonly reason: string;
  readonly createdAt: Date;
  /** It ends by itself then. Null: only when it is released. */
  readonly expiresAt: Date | null;
};

/** An owner's word that this deployment goes through whatever holds it. */
export type BreakGlass = {
  readonly deploymentId: string;
  readonly actorName: string;
  readonly reason: string;
  readonly at: Date;
};

/** Everything said so far that bears on one deployment. Locks and freezes: only those that apply to its place. */
export type GateFacts = {
  readonly approvals: readonly Approval[];
  readonly locks: readonly Lock[];
  readonly freezes: readonly Freeze[];
  readonly breakGlass: BreakGlass | null;
  /** Data stores of the environment that are down. Left out: nobody looked. */
  readonly unwell?: readonly UnwellStore[];
};

export type UnwellStore = { readonly name: string; readonly since: Date; readonly message: string };

/** Who started a deployment. `id` null: Signalbox itself, or someone known by name only. */
export type Requester = { readonly id: string | null; readonly name: string };
