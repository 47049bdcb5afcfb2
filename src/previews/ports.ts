import type { State } from "../deployments/index.ts";

/** Something open at the git host that can have a preview: a pull request, or a branch. */
export type OpenPreview = {
  /** `pr-42` or `branch-<name>`: it is the pull request's number, never its branch, that a preview goes by. */
  readonly key: string;
  readonly pullRequest: number | null;
  /** Where its commits are; for a fork, a branch of the fork. */
  readonly branch: string;
  /** Full id of its head; null when the host does not say. */
  readonly commit: string | null;
  readonly title: string;
  readonly author: string | null;
  /** Page of it at the host. */
  readonly url: string | null;
  /** What it is to be merged into; of a plain branch, the repository's default branch. */
  readonly baseBranch: string | null;
  /** Its commits come from somebody else's repository. */
  readonly fork: boolean;
  /** Where its commits are fetched from; null when that repository is gone. */
  readonly cloneUrl: string | null;
};

/** What the host is told about a commit's preview. */
export type PreviewReport = {
  readonly project: string;
  readonly pullRequest: number | null;
  readonly commit: string;
  readonly state: "pending" | "success" | "failure";
  readonly url: string | null;
  /** At most 140 characters: GitHub's limit. */
  readonly description: string;
};

/**
 * Port: where pull requests or branches are listed. Implemented in `src/providers/pull-requests/`, one file each. A
 * method throws AppError: `upstream` for what a retry may cure, `unprocessable`, `bad_request` or `not_found` for the
 * user's mistakes. `repository` is what the policy names: `owner/name`, or for plain git a URL.
 */
export type PullRequests = {
  readonly name: string;
  /** All of them, or an error: a list that lost a page would close what is open. `projectId`: whose repository. */
  open(
    asked: { readonly projectId: string; readonly repository: string },
    signal: AbortSignal,
  ): Promise<OpenPreview[]>;
  /**
   * Asks for one alone, before its preview is closed: a list that comes in pages can miss what moves from page to page
   * meanwhile. `unsupported` where the list is of one moment.
   */
  isOpen(repository: string, pullRequest: number, signal: AbortSignal): Promise<boolean | "unsupported">;
  /** Sets the commit's status and, on a pull request, the one comment of ours. Idempotent. */
  report(repository: string, report: PreviewReport, signal: AbortSignal): Promise<"done" | "unsupported">;
};

/** A preview as the deployments show it: a place of environment `preview` that holds something. */
export type ExistingPreview = {
  readonly key: string;
  readonly pullRequest: number | null;
  readonly branch: string;
  /** Of the newest deployment; null while it is not known. */
  readonly commit: string | null;
  readonly newestDeploymentId: string;
  /** Of the newest deployment. */
  readonly state: State;
  /** When it last went live; null: it never did. */
  readonly liveAt: Date | null;
  /** When the first deployment of its present life was made. */
  readonly createdAt: Date;
  /** The last push that was deployed, or the last deployment by hand. */
  readonly lastActivityAt: Date;
  /** Public address, once it has one. */
  readonly url: string | null;
};
