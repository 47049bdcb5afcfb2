import type { Clock } from "../../foundation/clock.ts";

const KEPT_BYTES = 10 * 1_024;
/** A sender that is cut off takes its beat for failed, and so may its job: that much more is read, and thrown away. */
const READ_BYTES = 64 * 2 ** 20;
/** A beat does not wait for longer: it must be stored before the sweep takes its deadline for passed in silence. */
const READ_MS = 800;

/**
 * The first 10 KiB of what a job sends along, as text. What breaks off or takes too long is kept as far as it
 * came: that the job called is what counts. Null: nothing.
 */
export async function readOutput(
  body: ReadableStream<Uint8Array> | null,
  clock: Pick<Clock, "sleep">,
): Promise<string | null> {
  if (body === null) return null;
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  const patience = new AbortController();
  const over = clock.sleep(READ_MS, patience.signal).then(
    () => null,
    () => null,
  );
  for (let size = 0; size < READ_BYTES; ) {
    const read = await Promise.race([reader.read().catch(() => null), over]);
    if (read === null || read.done) break;
    if (size < KEPT_BYTES) chunks.push(read.value);
    size += read.value.length;
  }
  patience.abort();
  // Whoever is slow to send may be as slow to hear that it is enough.
  reader.cancel().catch(() => {});
  const bytes = Buffer.concat(chunks).subarray(0, KEPT_BYTES);
  // Postgres keeps no NUL in a text, and a character that the limit cuts in two is none.
  const text = new TextDecoder().decode(bytes, { stream: true }).replaceAll("\0", "");
  return text === "" ? null : text;
}
