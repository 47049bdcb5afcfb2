import { verify } from "@octokit/webhooks-methods";
import { z } from "zod";
import { systemActor } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { forgetClosed, type PreviewPolicy, readPolicy } from "../previews/index.ts";
import { type Decision, decideDelivery, type Outcome } from "./decide-delivery.ts";
import type { WebhookDeps } from "./deps.ts";
import { claimDelivery, type Delivery, releaseDelivery, settleDelivery } from "./queries.ts";
import { findSecret } from "./secret.ts";

export type Received = {
  readonly project: string;
  readonly event: string | undefined;
  readonly deliveryId: string | undefined;
  readonly signature: string | undefined;
  /** Reads the bytes as they came, which is what is signed. Not called for what is refused before. */
  readonly body: () => Promise<Uint8Array>;
};

/** `repeated`: this delivery was acted upon before, and its first outcome is given. */
export type Receipt = { readonly outcome: Outcome; readonly repeated: boolean };

const ACTOR = systemActor("github");
const WAIT_MS = 50;
/** Of GitHub's 10 s, what is left for the answer. */
const PATIENCE_MS = 8_000;

/**
 * Takes a delivery of GitHub: checks its signature, acts on it once however often it comes, and writes down what became
 * of it. It only writes rows, so GitHub has its answer long before its 10 s are over.
 * @throws AppError `bad_request` for what is no delivery, `unauthorized` for a wrong signature, `in_flight`.
 */
export async function receiveDelivery(deps: WebhookDeps, received: Received): Promise<Receipt> {
  const { event, deliveryId, signature } = received;
  if (!event) throw missing("X-GitHub-Event");
  if (!deliveryId || deliveryId.length > 200) throw missing("X-GitHub-Delivery");
  if (!signature) throw missing("X-Hub-Signature-256");
  const found = await findSecret(deps, received.project);
  // In the same words as a wrong signature: whoever has no secret learns no names.
  if (!found) throw badSignature();
  const text = decode(await received.body());
  if (!(await verify(found.secret, text, signature))) throw badSignature();
  const payload = parse(text);
  const { projectId, project } = found;
  const delivery = { projectId, deliveryId, event };
  const earlier = await earlierOutcome(deps, delivery);
  if (earlier !== null) return { outcome: earlier, repeated: true };
  try {
    const policy = await readPolicy(deps.db, projectId);
    const outcome = await act(deps, { ...delivery, project, policy }, decide(event, payload, policy));
    await settleDelivery(deps.db, delivery, outcome, deps.clock.now());
    return { outcome, repeated: false };
  } catch (error) {
    await releaseDelivery(deps.db, delivery);
    throw error;
  }
}

/** Null: the delivery is ours to act on. Waits for another request that is at it. */
async function earlierOutcome(deps: WebhookDeps, delivery: Delivery): Promise<Outcome | null> {
  const until = deps.clock.monotonicMs() + PATIENCE_MS;
  while (deps.clock.monotonicMs() < until) {
    const claim = await claimDelivery(deps.db, delivery, deps.clock.now());
    if (claim.mine) return null;
    if (claim.outcome !== null) return claim.outcome;
    await deps.clock.sleep(WAIT_MS);
  }
  throw new AppError("in_flight", `Delivery ${delivery.deliveryId} is still being worked on.`, {
    hint: "Redeliver it in a moment.",
  });
}

type Acting = Delivery & { readonly project: string; readonly policy: PreviewPolicy };

async function act(deps: WebhookDeps, acting: Acting, decision: Decision): Promise<Outcome> {
  const { projectId, project, policy, deliveryId } = acting;
  switch (decision.kind) {
    case "pong":
      return { did: "pong" };
    case "ignore":
      return { did: "ignored", why: decision.why };
    case "sweep":
      if (decision.reopened !== null) await forgetClosed(deps.db, projectId, [decision.reopened]);
      deps.wake(projectId);
      return { did: "sweep", why: decision.why };
    case "deploy": {
      const { environment, branch, commit, message, cloneUrl } = decision;
      const deploymentId = await deps.trigger(ACTOR, {
        project,
        environment,
        branch,
        commit,
        message,
        source: { git: policy.gitUrl ?? cloneUrl },
        deliveryKey: `github:${projectId}:${deliveryId}`,
      });
      return { did: "deploy", environment, branch, commit, deploymentId };
    }
  }
}

function decide(event: string, payload: unknown, policy: PreviewPolicy): Decision {
  try {
    return decideDelivery(event, payload, policy);
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    const fields = error.issues.map(({ path }) => path.join(".")).join(", ");
    throw new AppError("bad_request", `The payload of ${event} is not as GitHub sends it: ${fields}.`, {
      hint: "Redeliver it from the webhook's page at GitHub.",
    });
  }
}

function decode(body: Uint8Array): string {
  if (body.length === 0) throw notJson("it is empty");
  try {
    // Every byte counts for the signature: none is replaced, and no mark left out.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw notJson("it is no UTF-8");
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notJson("it does not parse");
  }
}

function notJson(why: string): AppError {
  return new AppError("bad_request", `The body is no JSON: ${why}.`, {
    hint: 'Set the webhook\'s content type to "application/json".',
  });
}

function missing(header: string): AppError {
  return new AppError("bad_request", `The header ${header} is missing.`, {
    hint: "This address is for webhooks of GitHub that have a secret.",
  });
}

function badSignature(): AppError {
  return new AppError("unauthorized", "The signature does not match.", {
    hint: "Make a new secret with `signalbox previews webhook`, and put it into the webhook at GitHub.",
  });
}
