import { z } from "zod";
import { type PreviewPolicy, pushEnvironment } from "../previews/index.ts";

/** What became of a delivery. Kept, and given again when the delivery is repeated. */
export type Outcome =
  | { readonly did: "pong" }
  | { readonly did: "sweep"; readonly why: string }
  | {
      readonly did: "deploy";
      readonly environment: "production" | "staging";
      readonly branch: string;
      readonly commit: string;
      readonly deploymentId: string;
    }
  | { readonly did: "ignored"; readonly why: string };

/** What is to be done about a delivery. */
export type Decision =
  | { readonly kind: "pong" }
  | { readonly kind: "ignore"; readonly why: string }
  /** `reopened`: what was closed for its age or by hand may be made again. */
  | { readonly kind: "sweep"; readonly why: string; readonly reopened: string | null }
  | {
      readonly kind: "deploy";
      readonly environment: "production" | "staging";
      readonly branch: string;
      readonly commit: string;
      readonly message: string | undefined;
      readonly cloneUrl: string;
    };

const Repository = z.object({ full_name: z.string(), clone_url: z.string() });
const Push = z.object({
  ref: z.string(),
  after: z.string(),
  deleted: z.boolean(),
  head_commit: z.object({ message: z.string() }).nullable(),
  repository: Repository,
});
const Pull = z.object({ action: z.string(), number: z.number(), repository: Repository });
const BranchEvent = z.object({ ref: z.string(), ref_type: z.string(), repository: Repository });

/** Actions that make, move or end a preview. The others (labels, reviews, titles) change nothing of it. */
const PULL_ACTIONS = new Set(["opened", "synchronize", "reopened", "closed"]);

/**
 * What a delivery of GitHub means by the project's policy. Pull requests are only a reason to look: what is done about
 * them the sweep decides. A payload that is not as GitHub documents it throws a ZodError.
 */
export function decideDelivery(event: string, payload: unknown, policy: PreviewPolicy): Decision {
  if (event === "ping") return { kind: "pong" };
  if (event === "push") return decidePush(Push.parse(payload), policy);
  if (event === "pull_request") return decidePull(Pull.parse(payload), policy);
  if (event === "create" || event === "delete") {
    const { repository, ref_type } = BranchEvent.parse(payload);
    return otherRepository(policy, repository.full_name) ?? decideBranch(policy, ref_type === "branch");
  }
  return ignore(`Signalbox has no use for the event ${event}.`);
}

function decidePush(push: z.infer<typeof Push>, policy: PreviewPolicy): Decision {
  const foreign = otherRepository(policy, push.repository.full_name);
  if (foreign) return foreign;
  if (!push.ref.startsWith("refs/heads/")) return ignore(`${push.ref} is no branch.`);
  const branch = push.ref.slice("refs/heads/".length);
  const environment = pushEnvironment(policy, branch);
  if (environment === null) return decideBranch(policy, true);
  if (push.deleted) return ignore(`Branch ${branch} was deleted; what it deployed to ${environment} stays.`);
  const { clone_url } = push.repository;
  const message = push.head_commit?.message.split("\n")[0];
  return { kind: "deploy", environment, branch, commit: push.after, message, cloneUrl: clone_url };
}

function decidePull({ action, number, repository }: z.infer<typeof Pull>, policy: PreviewPolicy): Decision {
  const foreign = otherRepository(policy, repository.full_name);
  if (foreign) return foreign;
  if (policy.source !== "github") return ignore("The project has no previews of pull requests.");
  if (!PULL_ACTIONS.has(action)) return ignore(`A pull request that is ${action} changes no preview.`);
  const reopened = action === "reopened" ? `pr-${number}` : null;
  return { kind: "sweep", why: `Pull request #${number} was ${action}.`, reopened };
}

function decideBranch({ source }: PreviewPolicy, isBranch: boolean): Decision {
  if (source !== "branches" || !isBranch)
    return ignore("No environment is deployed from it, and no preview made.");
  return { kind: "sweep", why: "Branches have changed.", reopened: null };
}

/** One secret is for one project, but a webhook can be set up in the wrong repository. Names differ in case only. */
function otherRepository({ repository }: PreviewPolicy, sender: string): Decision | null {
  if (repository === null) return null;
  if (repository.toLowerCase() === sender.toLowerCase()) return null;
  return ignore(`It is from ${sender}, and the project is ${repository}.`);
}

function ignore(why: string): Decision {
  return { kind: "ignore", why };
}
