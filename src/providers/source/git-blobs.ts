import { once } from "node:events";
import { PassThrough, type Readable } from "node:stream";
import { AppError } from "../../foundation/errors.ts";
import { type GitRun, startGit } from "./git-run.ts";

/**
 * Gives the contents of `blobs` (git ids) to `each`, in order, from one `git cat-file --batch`. The next content is
 * read only when `each` is done with the last one, which it need not read to its end.
 */
export async function readBlobs(
  run: Omit<GitRun, "args">,
  blobs: readonly string[],
  each: (blob: string, size: number, body: Readable) => Promise<void>,
): Promise<void> {
  if (blobs.length === 0) return;
  const child = startGit({ ...run, args: ["cat-file", "--batch", "--buffer"] });
  child.process.stdin.end(`${blobs.join("\n")}\n`);
  const reader = byteReader(child.process.stdout);
  try {
    for (const blob of blobs) {
      const header = (await reader.line()).split(" ");
      const size = Number(header[2]);
      if (header[0] !== blob || header[1] !== "blob" || !Number.isInteger(size)) throw lost(blob);
      await readOne(reader, size, (body) => each(blob, size, body));
      await reader.line();
    }
  } catch (error) {
    child.kill(error);
    // What ended git (time, cancellation) explains more than the output that stopped.
    await child.done;
    throw error;
  }
  await child.done;
}

async function readOne(
  reader: ByteReader,
  size: number,
  use: (body: Readable) => Promise<void>,
): Promise<void> {
  const body = new PassThrough();
  const feed = async () => {
    for (let left = size; left > 0; ) {
      const chunk = await reader.some(left);
      left -= chunk.length;
      // A reader that needs no more (the target had the file) leaves the rest; the next content begins after it.
      if (body.destroyed) continue;
      if (!body.write(chunk)) await Promise.race([once(body, "drain"), once(body, "close")]);
    }
    if (!body.destroyed) body.end();
  };
  const fed = feed().catch((error: unknown) => {
    body.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  });
  fed.catch(() => {});
  try {
    await use(body);
    body.destroy();
    await fed;
  } finally {
    body.destroy();
  }
}

type ByteReader = { line(): Promise<string>; some(max: number): Promise<Buffer> };

function byteReader(stream: Readable): ByteReader {
  const chunks = stream.iterator() as AsyncIterator<Buffer>;
  let held: Buffer = Buffer.alloc(0);
  const more = async () => {
    const { value, done } = await chunks.next();
    if (done) throw lost("the rest");
    return value;
  };
  return {
    async line() {
      let end = held.indexOf(10);
      while (end === -1) {
        held = Buffer.concat([held, await more()]);
        end = held.indexOf(10);
      }
      const text = held.toString("utf8", 0, end);
      held = held.subarray(end + 1);
      return text;
    },
    async some(max) {
      while (held.length === 0) held = await more();
      const chunk = held.subarray(0, max);
      held = held.subarray(chunk.length);
      return chunk;
    },
  };
}

function lost(what: string): AppError {
  return new AppError("upstream", `The cached repository does not have ${what}.`, {
    hint: "It is fetched anew at the next attempt.",
  });
}
