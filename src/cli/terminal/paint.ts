import pc from "picocolors";

/** Colours, or the same functions without any. */
export type Paint = ReturnType<typeof pc.createColors>;

/** Colours only on a terminal that wants them; picocolors knows NO_COLOR, FORCE_COLOR and TERM=dumb. */
export function createPaint(isTTY: boolean): Paint {
  return pc.createColors(isTTY && pc.isColorSupported);
}
