import { setTimeout as sleep } from "node:timers/promises";
import { getThroughGateway } from "../../bench/support/through-gateway.ts";
import { type Stage, tellCommit } from "./acts.ts";
import { wrapAsGifts } from "./commits.ts";
import { PROJECT, runCli } from "./ship.ts";
import { duration } from "./story.ts";

const BRANCH = "gift-wrap";
const LOOK_EVERY_MS = 100;

/** A branch is pushed, and has an address; it is deleted, and the address is gone. */
export async function previewOfABranch(stage: Stage): Promise<void> {
  const { instance, repository, story } = stage;
  story.command(`git checkout -b ${BRANCH}`);
  tellCommit(story, await repository.onBranch(BRANCH, () => wrapAsGifts(repository)));
  const policy = `--source branches --git file://${repository.directory} --include ${BRANCH}`;
  await runCli(stage, ["previews", "policy", "--project", PROJECT, ...policy.split(" ")], { quote: false });
  const startedAt = performance.now();
  const url = await until(async () => {
    const { previews } = await previewsOf(stage);
    const preview = previews.find(({ branch }) => branch === BRANCH);
    if (preview?.state === "failed") throw new Error(`The preview of ${BRANCH} failed.`);
    return preview?.state === "live" ? preview.url : null;
  });
  const { body } = await getThroughGateway(url, "/api/version");
  story.good(
    `After ${duration(performance.now() - startedAt)} it has an address of its own: ` +
      `${url} (v${JSON.parse(body).version})`,
  );
  story.command(`git branch -D ${BRANCH}`);
  await repository.deleteBranch(BRANCH);
  await runCli(stage, ["previews", "sweep", "--project", PROJECT], { quote: false });
  await until(async () => (await getThroughGateway(url, "/")).status === 404);
  story.good(`The branch is gone, and so is its preview: ${new URL(url).hostname} answers 404.`);
  story.say(`Production has not noticed: http://${PROJECT}.localhost:${instance.gatewayPort}`);
}

type Previews = { previews: { branch: string; state: string; url: string | null }[] };

async function previewsOf({ instance }: Stage): Promise<Previews> {
  const answer = await fetch(`${instance.url}/api/previews?project=${PROJECT}`, {
    headers: { authorization: `Bearer ${instance.token}` },
  });
  if (!answer.ok) throw new Error(`The list of previews answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as Previews;
}

async function until<T>(look: () => Promise<T | null | false>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found) return found;
    await sleep(LOOK_EVERY_MS);
  }
}
