import { AppError } from "../foundation/errors.ts";
import type { Io } from "./context.ts";

/** Ctrl-C (or SIGTERM) as an error: what was being waited for goes on without us. Exit code 130. */
export class Interrupted extends AppError {
  constructor() {
    super("canceled", "Interrupted.");
  }
}

/** Runs `work` with a signal that Ctrl-C aborts with `Interrupted`, in place of the death of the program. */
export async function interruptible<T>(io: Io, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const stopListening = io.onSignal(() => abort.abort(new Interrupted()));
  try {
    return await work(abort.signal);
  } finally {
    stopListening();
  }
}
