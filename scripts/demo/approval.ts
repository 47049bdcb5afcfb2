import type { Deployment } from "../../bench/support/api.ts";
import type { Instance } from "../../bench/support/instance.ts";
import type { Load } from "../../bench/support/load.ts";
import { quiet, type Stage, tellCommit } from "./acts.ts";
import { askFirst } from "./commits.ts";
import type { Commit } from "./repository.ts";
import { runCli, ship, timeToLive } from "./ship.ts";
import { duration } from "./story.ts";
import { watchRollout } from "./watch.ts";

const REVIEWER = "remy";

/** A deployment that is built and proven, and may take traffic now. */
export type Approved = { readonly id: string; readonly commit: Commit; readonly ended: Promise<unknown> };

/** Another person's token, as the owner makes one for each colleague. */
export async function inviteReviewer({ instance }: Stage): Promise<string> {
  const answer = await fetch(`${instance.url}/api/tokens`, {
    method: "POST",
    headers: { authorization: `Bearer ${instance.token}`, "content-type": "application/json" },
    body: JSON.stringify({ name: REVIEWER, role: "deployer" }),
  });
  if (!answer.ok) throw new Error(`POST /api/tokens answered ${answer.status}: ${await answer.text()}`);
  return ((await answer.json()) as { token: string }).token;
}

/** The fourth commit's policy asks for a second pair of eyes: one's own do not count. */
export async function askAColleague(stage: Stage, reviewer: string): Promise<Approved> {
  const { repository, story } = stage;
  const commit = await askFirst(repository);
  tellCommit(story, commit);
  const approved = await shipToApproval(stage, commit);
  story.good(`Built and proven, it waits: awaiting_approval. Visitors see nothing of it yet.`);
  story.say("Whoever started it tries to approve it:");
  const own = await runCli(stage, ["approve", approved.id]);
  if (own.code === 0) throw new Error("Whoever started the deployment could approve it.");
  await approve(stage, approved.id, reviewer);
  return approved;
}

/** Ships a commit whose policy asks for an approval, and returns once it waits for it. */
export async function shipToApproval(stage: Stage, commit: Commit): Promise<Approved> {
  const { accepted, command } = await ship({ ...stage, story: quiet(stage.story) }, "production");
  const { id } = await accepted;
  const waits = ({ state, finishedAt }: Deployment) => state === "awaiting_approval" || finishedAt !== null;
  const deployment = await stage.instance.api.waitFor(id, waits);
  if (deployment.state !== "awaiting_approval")
    throw new Error(`It ended ${deployment.state} before anybody was asked: ${deployment.reason}`);
  return { id, commit, ended: command };
}

export async function approve(stage: Stage, id: string, reviewer: string): Promise<void> {
  stage.story.say(`A colleague, ${REVIEWER}, looks at it and approves:`);
  const args = ["approve", id, "--comment", "tried the checkout"];
  const approved = await runCli({ ...stage, instance: as(stage.instance, reviewer) }, args);
  if (approved.code !== 0) throw new Error("The colleague's approval was refused; see the lines above.");
}

/** What was approved takes over at once; the release before it stays ready while the new one is watched. */
export async function blueGreen(
  stage: Stage,
  load: Load,
  { id, commit, ended }: Approved,
  before: Commit,
): Promise<Commit> {
  const { story } = stage;
  const deployment = await watchRollout({ ...stage, load }, id, [before.version, commit.version]);
  await ended;
  if (deployment.state !== "live") throw new Error(`It ended ${deployment.state}: ${deployment.reason}`);
  const watched = deployment.phases.find(({ state }) => state === "shifting")?.durationMs ?? 0;
  story.good(
    `v${commit.version} answers everyone, watched for ${duration(watched)} with v${before.version} kept ready; ` +
      `${duration(timeToLive(deployment))} after the trigger, people included.`,
  );
  return commit;
}

/** The same instance with another person's token. */
function as(instance: Instance, token: string): Instance {
  return { ...instance, token, environment: { ...instance.environment, SIGNALBOX_TOKEN: token } };
}
