/** Numbers as they are read in a reason. */

export function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}

export function ms(value: number): string {
  return `${Number(value.toPrecision(3))} ms`;
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** `90 s`, `5 min`, `1.5 h`: the largest unit that leaves a round number, or nearly so. */
export function duration(milliseconds: number): string {
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1_000],
  ] as const;
  for (const [name, size] of units) {
    if (milliseconds >= size && (milliseconds * 2) % size === 0) return `${milliseconds / size} ${name}`;
  }
  return `${Math.round(milliseconds / 100) / 10} s`;
}
