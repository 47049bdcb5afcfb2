import type { Api } from "./api.ts";
import { type Deployment, isSettled, listPath } from "./deployment.ts";

const LOOK_BACK = 200;

/**
 * What each place (project and environment, for previews also the pull request or branch) serves, and what is on its
 * way there. A place where nothing serves shows how its last deployment ended. Sorted by project, then production
 * first.
 */
export async function currentDeployments(
  api: Api,
  filters: { project: string | null; environment: string | null },
): Promise<Deployment[]> {
  const read = (state: string | null) =>
    api.get<{ deployments: Deployment[] }>(listPath({ ...filters, state, limit: LOOK_BACK }));
  // What is live may be older than the latest 200 deployments, so it is asked for by itself.
  const [live, latest] = await Promise.all([read("live"), read(null)]);
  return pickCurrent([...latest.deployments, ...live.deployments]);
}

/** Of deployments in any order: for each place the newest live one and those in progress, else the newest. */
export function pickCurrent(deployments: readonly Deployment[]): Deployment[] {
  const newestFirst = [
    ...new Map(deployments.map((deployment) => [deployment.id, deployment])).values(),
  ].sort((a, b) => b.createdAt.localeCompare(a.createdAt));
  const current = [...Map.groupBy(newestFirst, placeOf).values()].flatMap((ofPlace) => {
    const live = ofPlace.find((deployment) => deployment.state === "live");
    const shown = ofPlace.filter((deployment) => deployment === live || !isSettled(deployment));
    return shown.length > 0 ? shown : ofPlace.slice(0, 1);
  });
  return current.sort(
    (a, b) =>
      a.project.localeCompare(b.project) ||
      rank(a.environment) - rank(b.environment) ||
      b.createdAt.localeCompare(a.createdAt),
  );
}

function placeOf({ project, environment, branch, pullRequest }: Deployment): string {
  const preview = pullRequest ? `#${pullRequest}` : (branch ?? "");
  return `${project}\n${environment}\n${environment === "preview" ? preview : ""}`;
}

function rank(environment: string): number {
  const at = ["production", "staging", "preview"].indexOf(environment);
  return at === -1 ? 3 : at;
}
