import { createHash } from "node:crypto";
import { Transform } from "node:stream";
import { AppError } from "../foundation/errors.ts";

/**
 * A stream that passes a file on and fails when it is not the file that was announced. It stays one chunk behind, so
 * that a wrong file is never complete at the other end.
 */
export function verifiedBody(expected: { sha1: string; size: number }): Transform {
  const hash = createHash("sha1");
  let size = 0;
  let held: Buffer | null = null;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > expected.size) return done(lengthProblem(expected.size, size));
      hash.update(chunk);
      const ready = held;
      held = chunk;
      if (ready === null) done();
      else done(null, ready);
    },
    flush(done) {
      if (size !== expected.size) return done(lengthProblem(expected.size, size));
      const sha1 = hash.digest("hex");
      if (sha1 !== expected.sha1) return done(digestProblem(expected.sha1, sha1));
      if (held === null) done();
      else done(null, held);
    },
  });
}

function lengthProblem(announced: number, seen: number): AppError {
  const what = seen > announced ? "more" : `${seen} bytes`;
  return new AppError("bad_request", `The file was announced with ${announced} bytes and has ${what}.`, {
    hint: "The upload was cut off, or the file changed meanwhile; send it again.",
  });
}

function digestProblem(announced: string, seen: string): AppError {
  return new AppError("unprocessable", `The file was announced as ${announced} and its SHA-1 is ${seen}.`, {
    hint: "The file changed meanwhile; run `signalbox deploy` again.",
  });
}
