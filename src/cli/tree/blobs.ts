import { Readable } from "node:stream";
import { AppError } from "../../foundation/errors.ts";
import { spawnGit } from "./git.ts";

/** Contents of git's objects, through one `git cat-file --batch` for all of them. */
export type Blobs = {
  read(oid: string): Promise<Buffer>;
  stream(oid: string): Readable;
  close(): void;
};

type Waiting = { oid: string; resolve: (content: Buffer) => void; reject: (error: Error) => void };

export function openBlobs(cwd: string): Blobs {
  const git = spawnGit(cwd, ["cat-file", "--batch"]);
  const waiting: Waiting[] = [];
  const assemble = createAssembler((content) => {
    const next = waiting.shift();
    if (content === null) next?.reject(lost(next.oid));
    else next?.resolve(content);
  });
  const failAll = () => {
    for (const { oid, reject } of waiting.splice(0)) reject(lost(oid));
  };
  git.stdout.on("data", assemble);
  git.on("close", failAll);
  git.on("error", failAll);
  git.stdin.on("error", failAll);
  // An idle reader must not keep the program alive.
  git.unref();
  const read = (oid: string) =>
    new Promise<Buffer>((resolve, reject) => {
      waiting.push({ oid, resolve, reject });
      git.stdin.write(`${oid}\n`);
    });
  return {
    read,
    stream: (oid) =>
      Readable.from(
        (async function* () {
          yield await read(oid);
        })(),
      ),
    close: () => void git.stdin.end(),
  };
}

/** Cuts the answers of `cat-file --batch` apart: `<oid> blob <size>\n<content>\n`, or `<oid> missing\n` (null). */
function createAssembler(deliver: (content: Buffer | null) => void): (chunk: Buffer) => void {
  let chunks: Buffer[] = [];
  let held = 0;
  let needed = 0;
  return (chunk) => {
    chunks.push(chunk);
    held += chunk.length;
    // Joining on every chunk would make a large blob quadratic.
    if (held < needed) return;
    let buffer = Buffer.concat(chunks, held);
    for (;;) {
      const lineEnd = buffer.indexOf(10);
      if (lineEnd === -1) break;
      const size = / (\d+)$/.exec(buffer.subarray(0, lineEnd).toString())?.[1];
      const start = lineEnd + 1;
      const end = size === undefined ? start : start + Number(size) + 1;
      needed = end;
      if (buffer.length < end) break;
      deliver(size === undefined ? null : Buffer.from(buffer.subarray(start, end - 1)));
      buffer = buffer.subarray(end);
      needed = 0;
    }
    chunks = [buffer];
    held = buffer.length;
  };
}

function lost(oid: string): AppError {
  return new AppError("not_found", `git has no content for the object ${oid || "(none)"}.`, {
    hint: "The clone may be partial or damaged. Run `git fsck`, or fetch the commit again.",
  });
}
