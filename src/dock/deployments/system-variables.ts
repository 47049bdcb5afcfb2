import type { SystemVariables } from "../build/build.ts";
import type { Dock } from "../dock.ts";
import { branchHost, environmentHost, productionHost, pullRequestHost } from "../hosts.ts";
import { findEnvironment } from "../projects/queries.ts";
import type { Deployment } from "./queries.ts";

/**
 * What a deployment may ask about itself, as Vercel's system environment variables name it. What is not known (no git
 * metadata, no branch) is left out. Source: vercel.com/docs/environment-variables/system-environment-variables.
 * @param slug of its custom environment, or null
 */
export function systemVariables(row: Deployment, slug: string | null, domain: string): SystemVariables {
  const environment = row.target ?? "preview";
  const fixed = {
    VERCEL: "1",
    VERCEL_ENV: environment,
    VERCEL_TARGET_ENV: slug ?? environment,
    VERCEL_PROJECT_ID: row.project_id,
    VERCEL_PROJECT_PRODUCTION_URL: productionHost(row.name, domain),
    VERCEL_GIT_COMMIT_REF: row.branch,
    ...repository(row),
  };
  const own = {
    VERCEL_URL: row.url,
    VERCEL_BRANCH_URL: branchUrl(row, slug, domain),
    VERCEL_DEPLOYMENT_ID: row.id,
    ...commit(row),
  };
  return { fixed: known(fixed), own: known(own) };
}

/** With the slug looked up. */
export async function systemVariablesOf(
  dock: Pick<Dock, "db" | "domain">,
  row: Deployment,
): Promise<SystemVariables & { readonly slug: string | null }> {
  const id = row.custom_environment_id;
  const slug = id === null ? null : ((await findEnvironment(dock.db, row.project_id, id))?.slug ?? null);
  return { ...systemVariables(row, slug, dock.domain), slug };
}

function branchUrl(row: Deployment, slug: string | null, domain: string): string | null {
  if (slug !== null) return environmentHost(row.name, slug, domain);
  const number = Number(row.meta.pullRequest);
  if (row.target === null && Number.isSafeInteger(number) && number > 0)
    return pullRequestHost(row.name, number, domain);
  return row.branch === null ? null : branchHost(row.name, row.branch, domain);
}

/** From where the git integrations and the CLI put it. */
function commit({ git, meta }: Deployment): Record<string, unknown> {
  const login = git?.commitAuthorLogin ?? meta.githubCommitAuthorLogin ?? meta.gitlabCommitAuthorLogin;
  return {
    VERCEL_GIT_COMMIT_SHA:
      git?.commitSha ?? git?.sha ?? meta.githubCommitSha ?? meta.gitlabCommitSha ?? meta.commit,
    VERCEL_GIT_COMMIT_MESSAGE: git?.commitMessage ?? meta.githubCommitMessage ?? meta.gitlabCommitMessage,
    VERCEL_GIT_COMMIT_AUTHOR_NAME: git?.commitAuthorName ?? meta.githubCommitAuthorName,
    VERCEL_GIT_COMMIT_AUTHOR_LOGIN: login,
    VERCEL_GIT_PULL_REQUEST_ID: meta.pullRequest ?? meta.githubPrId,
  };
}

const HOSTS: Readonly<Record<string, string>> = {
  "github.com": "github",
  "gitlab.com": "gitlab",
  "bitbucket.org": "bitbucket",
};

/** `https://github.com/owner/name.git`, `git@github.com:owner/name.git`, or nothing. */
function repository({ git, meta }: Deployment): Record<string, unknown> {
  const remote = typeof git?.remoteUrl === "string" ? git.remoteUrl : "";
  const parts = /^(?:[a-z+]+:\/\/)?(?:[^@/]*@)?([\w.-]+)(?::\d+)?[:/](.+?)\/([^/]+?)(?:\.git)?\/?$/i.exec(
    remote,
  );
  return {
    VERCEL_GIT_PROVIDER: HOSTS[parts?.[1]?.toLowerCase() ?? ""] ?? (meta.githubRepo ? "github" : null),
    VERCEL_GIT_REPO_OWNER: parts?.[2] ?? meta.githubOrg,
    VERCEL_GIT_REPO_SLUG: parts?.[3] ?? meta.githubRepo,
    VERCEL_GIT_REPO_ID: meta.githubRepoId,
  };
}

function known(values: Readonly<Record<string, unknown>>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === "string" && value !== "" && !value.includes("\0"))
      found[name] = value.slice(0, 8_192);
  }
  return found;
}
