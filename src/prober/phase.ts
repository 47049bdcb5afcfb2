/** FNV-1a, then mixed: ids that differ in their last letter only must not be neighbours. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * Where in its interval a check is due: `0 ≤ phase < intervalMs`. It follows from the id, so it is the same wherever
 * and whenever the check runs, and all checks together are spread evenly.
 */
export function phaseOf(checkId: string, intervalMs: number): number {
  return hashOf(checkId) % intervalMs;
}

/** The first tick after `after` of the grid `phase + k × interval`. Ticks are never counted up, so they never drift. */
export function nextTick(after: number, phase: number, intervalMs: number): number {
  return phase + (Math.floor((after - phase) / intervalMs) + 1) * intervalMs;
}
