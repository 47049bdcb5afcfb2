/** One thing that `signalbox doctor` looked at. */
export type Check = {
  readonly name: string;
  readonly ok: boolean;
  /** What was found, with values. */
  readonly found: string;
  /** What to do about it; only when not ok. */
  readonly hint?: string;
};

export function good(name: string, found: string): Check {
  return { name, ok: true, found };
}

export function bad(name: string, found: string, hint: string): Check {
  return { name, ok: false, found, hint };
}
