import type { Clock } from "../../foundation/clock.ts";
import type { BuildEvent } from "./build.ts";
import { createRedactor, type Redactor } from "./redact.ts";

const LOG_LIMIT_BYTES = 4 * 2 ** 20;
const REMEMBERED_LINES = 50;

/** Where the lines of one build go: redacted, bounded, and the last ones remembered for the failure's sentence. */
export type BuildLog = {
  readonly redactor: Redactor;
  command(text: string): void;
  /** `text` is already redacted. */
  line(type: "stdout" | "stderr", text: string): void;
  /** The newest lines, oldest first, without empty ones. */
  lastLines(): readonly string[];
};

export function createBuildLog(options: {
  env: Readonly<Record<string, string>>;
  clock: Clock;
  onEvent: (event: BuildEvent) => void;
  limitBytes?: number;
}): BuildLog {
  const { clock, onEvent } = options;
  const limit = options.limitBytes ?? LOG_LIMIT_BYTES;
  const redactor = createRedactor(options.env);
  const remembered: string[] = [];
  let bytes = 0;
  let full = false;
  const emit = (type: BuildEvent["type"], text: string) => {
    if (full) return;
    bytes += Buffer.byteLength(text) + 1;
    onEvent({ type, text, at: clock.now() });
    if (bytes < limit) return;
    full = true;
    const sentence = `The log is longer than ${Math.round(limit / 2 ** 20)} MiB: the rest is left out.`;
    onEvent({ type: "stderr", text: sentence, at: clock.now() });
  };
  return {
    redactor,
    command: (text) => emit("command", redactor.redact(text)),
    line: (type, text) => {
      if (text.trim() !== "" && remembered.push(text) > REMEMBERED_LINES) remembered.shift();
      emit(type, text);
    },
    lastLines: () => remembered,
  };
}
