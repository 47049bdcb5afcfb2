import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { AppError } from "../foundation/errors.ts";
import type { OutsideDeps } from "./deps.ts";
import { findSecret } from "./webhook.ts";

export type Received = {
  readonly project: string;
  readonly signature: string | undefined;
  /** Reads the bytes as they came, which is what is signed. Not called for what is refused before. */
  readonly body: () => Promise<Uint8Array>;
};

/** `repeated`: it came before, and nothing is done for it again. */
export type Receipt = { readonly did: "look"; readonly type: string; readonly repeated: boolean };

/** Vercel tries again for some time; what is older is somebody's recording. */
const OLDEST_MS = 24 * 3_600_000;
/** Clocks differ. */
const AHEAD_MS = 5 * 60_000;
/** A delivery's id is known for longer than it could be taken. */
const KEPT_MS = 3 * OLDEST_MS;

const ANEW = "Set the webhook up anew with `signalbox outside webhook`.";

const Delivery = z.object({
  id: z.string().min(1).max(200),
  type: z.string().max(200),
  // What a Date can hold.
  createdAt: z.number().min(0).max(8.64e15),
});

/**
 * Takes a delivery of Vercel: checks its signature (HMAC-SHA1 over the bytes as they came; source: Vercel's docs,
 * "Webhooks API"), its age, and that it is the first with its id. All that follows from it is a look.
 * @throws AppError `unauthorized` for a wrong signature, `bad_request` for what is no delivery or too old.
 */
export async function receiveVercel(deps: OutsideDeps, received: Received): Promise<Receipt> {
  const { signature } = received;
  if (!signature) {
    throw new AppError("bad_request", "The header x-vercel-signature is missing.", {
      hint: "This address is for webhooks of Vercel.",
    });
  }
  const found = await findSecret(deps, received.project).catch((error: unknown) => {
    if (!(error instanceof AppError) || error.code !== "internal") throw error;
    // The key of this installation was replaced: no delivery can be checked, and the looks go on.
    throw new AppError("unauthorized", "The webhook's secret cannot be opened any more.", { hint: ANEW });
  });
  // In the same words as a wrong signature: whoever has no secret learns no names.
  if (!found) throw badSignature();
  const bytes = await received.body();
  if (!isSigned(bytes, found.secret, signature)) throw badSignature();
  const { id, type, createdAt } = parse(bytes);
  const now = deps.clock.now();
  const ageMs = now.getTime() - createdAt;
  if (ageMs > OLDEST_MS || ageMs < -AHEAD_MS) {
    throw new AppError("bad_request", `The delivery ${id} is of ${new Date(createdAt).toISOString()}.`, {
      hint: "Deliveries of the last 24 hours are taken. Compare the clocks, if it is new.",
    });
  }
  const { projectId } = found;
  const fresh = await deps.db
    .insertInto("vercel_deliveries")
    .values({ project_id: projectId, delivery_id: id, type, received_at: now })
    .onConflict((conflict) => conflict.columns(["project_id", "delivery_id"]).doNothing())
    .returning("delivery_id")
    .executeTakeFirst();
  if (!fresh) return { did: "look", type, repeated: true };
  await deps.db
    .deleteFrom("vercel_deliveries")
    .where("project_id", "=", projectId)
    .where("received_at", "<", new Date(now.getTime() - KEPT_MS))
    .execute();
  deps.wake(projectId);
  return { did: "look", type, repeated: false };
}

function isSigned(bytes: Uint8Array, secret: string, signature: string): boolean {
  const expected = createHmac("sha1", secret).update(bytes).digest();
  if (!/^[0-9a-f]{40}$/i.test(signature)) return false;
  return timingSafeEqual(expected, Buffer.from(signature, "hex"));
}

function parse(bytes: Uint8Array): z.infer<typeof Delivery> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new AppError("bad_request", "The body is no JSON.", { hint: "Redeliver it from Vercel." });
  }
  const parsed = Delivery.safeParse(json);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map(({ path }) => path.join(".")).join(", ");
  throw new AppError("bad_request", `The delivery is not as Vercel sends it: ${fields}.`, {
    hint: "Redeliver it from Vercel.",
  });
}

function badSignature(): AppError {
  return new AppError("unauthorized", "The signature does not match.", {
    hint: ANEW,
  });
}
