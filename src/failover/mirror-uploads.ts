import { once } from "node:events";
import { PassThrough, type Readable } from "node:stream";
import { messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";
import type { Target } from "../targets/target.ts";

/** A standby that takes nothing for so long is left behind: a deployment does not wait for it. */
const STALLED_MS = 5_000;

/**
 * Sends each file to the standby too, as it passes: only the user has the files of a tree, and they send them once. The
 * standby's failure is none of the upload: what it lacks is asked for when the standby is built.
 */
export function mirrorUploads(
  deps: { readonly log: Log },
  primary: Pick<Target, "upload">,
  standby: Pick<Target, "upload">,
): Pick<Target, "upload"> {
  return {
    async upload(file, signal) {
      const [first, second] = [new PassThrough(), new PassThrough()];
      // A destroyed side has errors for nobody: whoever read it tells them.
      for (const side of [first, second]) side.on("error", () => {});
      const late = new AbortController();
      const copied = standby
        .upload({ ...file, body: second }, AbortSignal.any([signal, late.signal]))
        .catch((error: unknown) => {
          deps.log.warn({ sha1: file.sha1, reason: messageOf(error) }, "the standby did not get a file");
        })
        .finally(() => second.destroy());
      const sent = primary.upload({ ...file, body: first }, signal).finally(() => first.destroy());
      try {
        await Promise.all([sent, pass(file.body, first, second)]);
      } finally {
        const timer = setTimeout(() => late.abort(new Error("it took too long")), STALLED_MS);
        await copied;
        clearTimeout(timer);
      }
    },
  };
}

async function pass(body: Readable, first: PassThrough, second: PassThrough): Promise<void> {
  try {
    for await (const chunk of body) {
      if (first.destroyed) break;
      if (!first.write(chunk)) await drained(first);
      if (!second.destroyed && !second.write(chunk)) await drained(second, STALLED_MS);
    }
    first.end();
    second.end();
  } catch (error) {
    for (const side of [first, second])
      side.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

/** Until it takes more, or is closed; after `limitMs` it is closed. */
async function drained(side: PassThrough, limitMs?: number): Promise<void> {
  if (side.destroyed || !side.writableNeedDrain) return;
  const ended = new AbortController();
  const late = limitMs === undefined ? null : setTimeout(() => side.destroy(), limitMs);
  try {
    const { signal } = ended;
    await Promise.race([once(side, "drain", { signal }), once(side, "close", { signal })]);
  } finally {
    if (late) clearTimeout(late);
    ended.abort();
  }
}
