import assert from "node:assert/strict";
import type { Approval, BreakGlass, Lock } from "./facts.ts";
import type { Freeze, FreezeWindow } from "./freeze.ts";
import type { GateTables } from "./tables.ts";

/** A row as it is selected, or as JSON made of it, where times are text. */
type Row<T> = { readonly [K in keyof T]: Date extends T[K] ? T[K] | string : T[K] };

export function toApproval(row: Row<GateTables["deployment_approvals"]>): Approval {
  return {
    id: row.id,
    deploymentId: row.deployment_id,
    digest: row.digest,
    decision: row.decision,
    actorId: row.actor_id,
    actorName: row.actor_name,
    comment: row.comment,
    at: new Date(row.at),
  };
}

export function toLock(row: Row<GateTables["deploy_locks"]>): Lock {
  return {
    id: row.id,
    projectId: row.project_id,
    environment: row.environment,
    ownerId: row.owner_id,
    ownerName: row.owner_name,
    reason: row.reason,
    createdAt: new Date(row.created_at),
    expiresAt: dateOrNull(row.expires_at),
  };
}

export function toFreeze(row: Row<GateTables["freeze_windows"]>): Freeze {
  return {
    id: row.id,
    projectId: row.project_id,
    environment: row.environment,
    name: row.name,
    reason: row.reason,
    ownerId: row.owner_id,
    ownerName: row.owner_name,
    createdAt: new Date(row.created_at),
    expiresAt: dateOrNull(row.expires_at),
    ...toWindow(row),
  };
}

export function toBreakGlass(row: Row<GateTables["break_glass"]>): BreakGlass {
  return {
    deploymentId: row.deployment_id,
    actorName: row.actor_name,
    reason: row.reason,
    at: new Date(row.at),
  };
}

type WindowColumns = Pick<
  GateTables["freeze_windows"],
  "starts_at" | "ends_at" | "days" | "from_time" | "until_time" | "until_day" | "time_zone"
>;

export function windowColumns(window: FreezeWindow): WindowColumns {
  const none = { days: null, from_time: null, until_time: null, until_day: null, time_zone: null };
  if (window.kind === "once") return { ...none, starts_at: window.from, ends_at: window.until };
  return {
    starts_at: null,
    ends_at: null,
    days: [...window.days],
    from_time: window.from,
    until_time: window.until,
    until_day: window.untilDay,
    time_zone: window.timeZone,
  };
}

function toWindow(row: Row<WindowColumns & Pick<GateTables["freeze_windows"], "kind">>): FreezeWindow {
  if (row.kind === "once") {
    assert.ok(row.starts_at && row.ends_at, "the table checks it");
    return { kind: "once", from: new Date(row.starts_at), until: new Date(row.ends_at) };
  }
  assert.ok(row.days && row.from_time && row.until_time && row.time_zone, "the table checks it");
  return {
    kind: "weekly",
    days: row.days,
    from: row.from_time,
    until: row.until_time,
    untilDay: row.until_day,
    timeZone: row.time_zone,
  };
}

function dateOrNull(value: Date | string | null): Date | null {
  return value === null ? null : new Date(value);
}
