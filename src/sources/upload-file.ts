import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { type AccessTables, type Actor, audit, requireRole } from "../access/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { Target } from "../targets/target.ts";
import { LIMITS } from "./manifest.ts";
import { rememberUploaded } from "./queries.ts";
import type { SourceTables } from "./tables.ts";
import { checkTextSize, keepText, toText, wantedTextPath } from "./texts.ts";
import { verifiedBody } from "./verified-body.ts";

export type UploadFileDeps = {
  readonly db: Database<SourceTables & AccessTables>;
  readonly clock: Clock;
  readonly target: Pick<Target, "upload">;
};

/**
 * Streams one file through to the target; a wrong digest or length is refused. Only a text that was asked for is kept
 * here. Idempotent.
 */
export async function uploadFile(
  deps: UploadFileDeps,
  actor: Actor,
  file: { sha1: string; size: number; body: Readable },
  signal: AbortSignal,
): Promise<void> {
  requireRole(actor, "deployer");
  if (file.size > LIMITS.fileBytes) {
    throw new AppError("too_large", `The file has ${file.size} bytes; ${LIMITS.fileBytes} are allowed.`, {
      hint: "Keep it out of the tree (.gitignore, .vercelignore), and fetch it at run time.",
    });
  }
  const path = await wantedTextPath(deps.db, file.sha1);
  const text = path === null ? null : await takeText(path, file, signal);
  const body = text === null ? file.body : Readable.from([Buffer.from(text)]);
  await sendVerified(deps.target, { ...file, body }, signal);
  const at = deps.clock.now();
  await deps.db.transaction().execute(async (tx) => {
    await rememberUploaded(tx, file, at);
    if (path !== null && text !== null) await keepText(tx, { ...file, path, text }, at);
    const subject = { type: "file", id: file.sha1 };
    await audit(tx, { actor, action: "file.upload", subject, details: { size: file.size }, at });
  });
}

/** The whole of a small file, checked before any of it is passed on. */
async function takeText(
  path: string,
  file: { sha1: string; size: number; body: Readable },
  signal: AbortSignal,
): Promise<string> {
  const verified = verifiedBody(file);
  checkTextSize(path, file.size);
  const [bytes] = await Promise.all([buffer(verified), pipeline(file.body, verified, { signal })]);
  return toText(path, bytes);
}

async function sendVerified(
  target: Pick<Target, "upload">,
  file: { sha1: string; size: number; body: Readable },
  signal: AbortSignal,
): Promise<void> {
  const verified = verifiedBody(file);
  // Settled, not raced: when the file is wrong the target's request fails too, and the file's fault is the one to tell.
  const [checked, sent] = await Promise.allSettled([
    pipeline(file.body, verified, { signal, end: true }).catch((error: unknown) => {
      verified.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }),
    target.upload({ sha1: file.sha1, size: file.size, body: verified }, signal).catch((error: unknown) => {
      verified.destroy();
      throw error;
    }),
  ]);
  if (checked.status === "rejected" && checked.reason instanceof AppError) throw checked.reason;
  if (sent.status === "rejected") throw sent.reason;
  if (checked.status === "rejected") throw checked.reason;
}
