import { cronsOf } from "../crons/fire.ts";
import type { DeploymentView } from "../deployments/queries.ts";
import { type Dock, TEAM, USER } from "../dock.ts";
import type { RollingRelease } from "../pointers/rolling-release.ts";
import type { Project, Variable } from "../projects/queries.ts";
import { policyOf } from "../releases/expiration.ts";
import { productionOf, type RoutedRelease } from "../traffic/snapshot.ts";
import { bypassView } from "./protection.ts";

const REGION = "local";
const creator = { uid: USER.id, username: USER.username, email: USER.email };
const ms = (date: Date | null): number | undefined => date?.getTime();

/** A deployment that is READY in the rows is shown so only once the gateway has routed it: its URL must work then. */
export function readyState(dock: Dock, row: DeploymentView): DeploymentView["state"] {
  const routed = row.ready_generation !== null && row.ready_generation <= dock.publisher.acknowledged();
  return row.state === "READY" && !routed ? "BUILDING" : row.state;
}

/** Whether its automatic aliases are settled, or there are none. Boolean for the SDK, which refuses a timestamp. */
function aliasAssigned(dock: Dock, row: DeploymentView): boolean {
  if (row.auto_assign && (row.checks_state === "pending" || row.checks_state === "failed")) return false;
  return readyState(dock, row) === "READY" && (row.alias_generation ?? 0) <= dock.publisher.acknowledged();
}

function shared(dock: Dock, row: DeploymentView) {
  const state = readyState(dock, row);
  const ready = state === "READY" || row.state !== "READY";
  return {
    name: row.name,
    url: row.url,
    createdAt: row.created_at.getTime(),
    creator,
    inspectorUrl: null,
    meta: row.meta,
    projectId: row.project_id,
    readyState: state,
    target: row.target,
    type: "LAMBDAS",
    ...(row.building_at ? { buildingAt: ms(row.building_at) } : {}),
    ...(ready && row.ready_at ? { ready: ms(row.ready_at) } : {}),
    ...(row.substate && state === "READY" ? { readySubstate: row.substate } : {}),
    ...(row.error_code ? { errorCode: row.error_code, errorMessage: row.error_message } : {}),
    ...(row.state === "CANCELED" ? { canceledAt: ms(row.ended_at) } : {}),
    ...(row.source ? { source: row.source } : {}),
    ...(row.collected_at ? { softDeletedByRetention: true } : {}),
    ...checksView(row),
    ...(row.custom_environment_id
      ? { customEnvironment: { id: row.custom_environment_id, slug: row.environment_slug } }
      : {}),
    /** Beyond Vercel's fields: what it is made of, and whether an earlier build was used. */
    dock: { kind: row.kind ?? "unknown", reused: row.reused },
  };
}

/** Numbers and no dates: with anything else the SDK would drop most of the deployment. */
function checksView(row: DeploymentView) {
  if (row.checks_state === null) return {};
  const isPending = row.checks_state === "pending";
  const startedAt = (row.checks_started_at ?? row.created_at).getTime();
  const completedAt = row.checks_completed_at?.getTime();
  return {
    checks: {
      "deployment-alias": {
        state: row.checks_state,
        startedAt,
        ...(completedAt === undefined || isPending ? {} : { completedAt }),
      },
    },
    checksState: isPending ? "running" : "completed",
    ...(isPending ? {} : { checksConclusion: row.checks_state }),
  };
}

/**
 * A deployment, with every field that the SDK's full schema requires: were one missing, the SDK would silently fall
 * back to a schema without `url`.
 */
export function deploymentView(dock: Dock, row: DeploymentView) {
  const state = readyState(dock, row);
  const aliases = hostsOf(dock, row.id);
  const assigned = aliasAssigned(dock, row);
  return {
    ...shared(dock, row),
    id: row.id,
    alias: aliases,
    automaticAliases: row.aliases,
    aliasAssigned: assigned,
    ...(assigned ? { aliasAssignedAt: ms(row.ready_at) } : {}),
    aliasError: row.alias_error,
    aliasWarning: null,
    createdIn: REGION,
    bootedAt: row.created_at.getTime(),
    buildingAt: ms(row.building_at) ?? row.created_at.getTime(),
    buildSkipped: row.reused,
    isInConcurrentBuildsQueue: row.state === "QUEUED",
    isInSystemBuildsQueue: false,
    status: state,
    plan: "pro",
    public: false,
    version: 2,
    build: { env: [] },
    env: [],
    projectSettings: row.settings,
    regions: [REGION],
    routes: null,
    ownerId: TEAM.id,
    team: { id: TEAM.id, name: TEAM.name, slug: TEAM.slug },
    project: { id: row.project_id, name: row.project },
    autoAssignCustomDomains: row.auto_assign,
    ...(row.git ? { gitMetadata: row.git } : {}),
    ...(row.collected_at ? { deletedAt: ms(row.collected_at) } : {}),
  };
}

export function deploymentListItem(dock: Dock, row: DeploymentView) {
  return {
    ...shared(dock, row),
    uid: row.id,
    created: row.created_at.getTime(),
    ...(row.collected_at ? { deleted: ms(row.collected_at) } : {}),
    state: readyState(dock, row),
    aliasAssigned: aliasAssigned(dock, row) ? ms(row.ready_at) : null,
    aliasError: row.alias_error,
  };
}

/** The hosts that point to a deployment now. */
export function hostsOf(dock: Dock, deploymentId: string): string[] {
  return [...dock.traffic.state.aliases]
    .filter(([, alias]) => alias.deploymentId === deploymentId)
    .map(([host]) => host);
}

function releaseView(release: RoutedRelease) {
  return {
    id: release.id,
    name: release.project,
    url: release.host,
    deploymentHostname: release.host,
    createdAt: release.createdAt.getTime(),
    readyAt: release.readyAt.getTime(),
    createdIn: REGION,
    creator,
    plan: "pro",
    private: false,
    readyState: "READY",
    readySubstate: release.promotedAt ? "PROMOTED" : "STAGED",
    target: release.target === "production" ? "production" : null,
    teamId: TEAM.id,
    type: "LAMBDAS",
    userId: USER.id,
  };
}

export async function projectView(dock: Dock, row: Project) {
  const { state } = dock.traffic;
  const production = productionOf(state, row.id);
  const release = production && state.releases.get(production.deploymentId);
  const view = release
    ? { ...releaseView(release), alias: hostsOf(dock, release.id), aliasAssigned: true }
    : null;
  return {
    accountId: TEAM.id,
    id: row.id,
    name: row.name,
    createdAt: row.created_at.getTime(),
    updatedAt: row.updated_at.getTime(),
    ...row.settings,
    nodeVersion: /^\d+\.x$/.test(row.settings.nodeVersion ?? "") ? row.settings.nodeVersion : "24.x",
    directoryListing: false,
    ssoProtection: null,
    passwordProtection: null,
    autoAssignCustomDomains: row.auto_assign,
    alias: production
      ? [{ domain: production.host, environment: "production", target: "PRODUCTION", deployment: view }]
      : [],
    targets: view ? { production: view } : {},
    latestDeployments: latestReleases(dock, row.id),
    live: false,
    ...cronsView(dock, row),
    ...optionsView(row),
    deploymentExpiration: policyOf(row.options),
    protectionBypass: await bypassView(dock, row.id),
    ...(row.link ? { link: row.link } : {}),
    ...(row.paused_at ? { paused: true } : {}),
    defaultResourceConfig: { functionDefaultRegions: [REGION] },
    lastRollbackTarget: row.last_rollback_target,
    lastAliasRequest: row.last_alias_request ? aliasRequestView(dock, row.last_alias_request) : null,
    ...(row.skew_protection_max_age === null ? {} : { skewProtectionMaxAge: row.skew_protection_max_age }),
    /** Beyond Vercel's fields. */
    dock: { drainMs: row.drain_ms },
    rollingRelease: row.rolling_release_config?.enabled ? rollingConfigView(row) : null,
  };
}

/** Newest first, as many as a list of projects needs. */
function latestReleases(dock: Dock, projectId: string) {
  return [...dock.traffic.state.releases.values()]
    .filter((release) => release.projectId === projectId)
    .sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime())
    .slice(0, 3)
    .map((release) => ({ ...releaseView(release), alias: hostsOf(dock, release.id) }));
}

/** As on Vercel, a project has the field from its first production deployment with jobs on. */
function cronsView(dock: Dock, row: Project) {
  const crons = cronsOf(dock, row.id);
  if (!crons && !row.crons_updated_at) return {};
  const { host } = crons ?? { host: "" };
  const deployed = crons ? dock.traffic.state.releases.get(crons.deploymentId) : undefined;
  const enabledAt = (row.crons_updated_at ?? deployed?.readyAt ?? row.created_at).getTime();
  return {
    crons: {
      enabledAt,
      disabledAt: ms(row.crons_disabled_at) ?? null,
      updatedAt: enabledAt,
      deploymentId: crons?.deploymentId ?? null,
      definitions: (crons?.definitions ?? []).map(({ path, schedule }) => ({ host, path, schedule })),
    },
  };
}

/** The region has an older name, which the SDK's full schema does not know any more. */
function optionsView({ options }: Project) {
  const { serverlessFunctionRegion: region, resourceConfig, ...rest } = options;
  const functionDefaultRegions = [typeof region === "string" ? region : REGION];
  const config = typeof resourceConfig === "object" && resourceConfig !== null ? resourceConfig : {};
  return { ...rest, resourceConfig: { functionDefaultRegions, ...config } };
}

function aliasRequestView(dock: Dock, request: NonNullable<Project["last_alias_request"]>) {
  const { generation, ...rest } = request;
  return { ...rest, jobStatus: generation <= dock.publisher.acknowledged() ? "succeeded" : "in-progress" };
}

export function rollingConfigView(row: Project) {
  const config = row.rolling_release_config;
  if (!config) return null;
  return {
    target: "production",
    enabled: config.enabled,
    advancementType: config.advancementType,
    stages: config.stages,
  };
}

export function rollingReleaseView(dock: Dock, row: RollingRelease, queued: string | null) {
  const release = (id: string) => {
    const found = dock.traffic.state.releases.get(id);
    return found ? releaseView(found) : null;
  };
  const stages = row.stages.map((stage, index) => ({
    index,
    isFinalStage: index === row.stages.length - 1,
    ...stage,
  }));
  const active = row.state === "ACTIVE";
  return {
    id: row.id,
    state: row.state,
    substate: null,
    advancementType: row.advancement,
    currentDeployment: release(row.current_deployment_id),
    canaryDeployment: release(row.canary_deployment_id),
    currentCanaryPercentage: active ? (row.stages[row.active_stage]?.targetPercentage ?? 0) : undefined,
    queuedDeploymentId: queued,
    stages,
    activeStage: active ? (stages[row.active_stage] ?? null) : null,
    nextStage: active ? (stages[row.active_stage + 1] ?? null) : null,
    startedAt: row.started_at.getTime(),
    updatedAt: row.updated_at.getTime(),
  };
}

/** `value` of a sensitive variable is never shown, whoever asks. */
export function variableView(dock: Dock, row: Variable) {
  return {
    id: row.id,
    key: row.key,
    type: row.type,
    value: row.type === "sensitive" ? "" : dock.secrets.open(row.sealed, row.id),
    target: row.targets,
    customEnvironmentIds: row.custom_environment_ids,
    ...(row.git_branch ? { gitBranch: row.git_branch } : {}),
    comment: row.comment ?? "",
    decrypted: row.type !== "sensitive",
    securityIssues: [],
    createdAt: row.created_at.getTime(),
    updatedAt: row.updated_at.getTime(),
  };
}
