/** The candidate that was most likely meant, or null when none is near: a unique beginning, else ≤ 2 typos. */
export function suggest(typed: string, candidates: readonly string[]): string | null {
  const wanted = typed.toLowerCase();
  const beginnings = candidates.filter((candidate) => wanted.length >= 2 && candidate.startsWith(wanted));
  if (beginnings.length === 1) return beginnings[0] ?? null;
  let best: string | null = null;
  let bestDistance = Math.min(3, Math.max(2, Math.ceil(wanted.length / 2)));
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
