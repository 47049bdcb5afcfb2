const KEPT_BYTES = 10 * 1_024;

/** The first 10 KiB of what a job sends along, as text; the rest is not read. Null: nothing. */
export async function readOutput(body: ReadableStream<Uint8Array> | null): Promise<string | null> {
  if (body === null) return null;
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size < KEPT_BYTES) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
  }
  await reader.cancel().catch(() => {});
  const bytes = Buffer.concat(chunks).subarray(0, KEPT_BYTES);
  // Postgres keeps no NUL in a text, and a character that the limit cuts in two is none.
  const text = new TextDecoder().decode(bytes, { stream: true }).replaceAll("\0", "");
  return text === "" ? null : text;
}
