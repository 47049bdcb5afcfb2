import type { Io } from "../context.ts";
import { cutToWidth } from "./width.ts";

/** The lower edge of the terminal: lines that stay, and under them at most one line that moves. */
export type Screen = {
  /** Writes a line that stays. */
  line(text: string): void;
  /** Shows a moving line, drawn anew for every frame; null takes it away. Without a terminal: nothing. */
  moving(draw: ((spinner: string) => string) | null): void;
  close(): void;
};

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] as const;
const FRAME_MS = 80;
const CLEAR_LINE = "\r\u001b[2K";

export function createScreen(io: Pick<Io, "stderr" | "isTTY">): Screen {
  const { stderr } = io;
  if (!io.isTTY) {
    return { line: (text) => void stderr.write(`${text}\n`), moving() {}, close() {} };
  }
  let draw: ((spinner: string) => string) | null = null;
  let frame = 0;
  let timer: NodeJS.Timeout | null = null;
  // One write for each frame, cut to the width: a wrapped line could not be cleared again.
  const paintFrame = (before: string) => {
    const spinner = FRAMES[frame % FRAMES.length] ?? "";
    const moving = draw === null ? "" : cutToWidth(draw(spinner), (stderr.columns || 80) - 1);
    stderr.write(`${CLEAR_LINE}${before}${moving}`);
  };
  return {
    line: (text) => paintFrame(`${text}\n`),
    moving(next) {
      const changed = draw !== next;
      draw = next;
      if (changed) paintFrame("");
      if (next === null && timer !== null) {
        clearInterval(timer);
        timer = null;
      }
      if (next !== null && timer === null) {
        timer = setInterval(() => {
          frame++;
          paintFrame("");
        }, FRAME_MS);
        timer.unref();
      }
    },
    close() {
      this.moving(null);
    },
  };
}
