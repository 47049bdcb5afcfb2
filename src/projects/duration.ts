const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

export const DURATION = /^(\d{1,9})(ms|s|m|h)$/;

/** `500ms`, `10s`, `2m`, `1h` in milliseconds; null when it is none of these. */
export function parseDuration(text: string): number | null {
  const match = DURATION.exec(text);
  if (!match) return null;
  return Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
}
