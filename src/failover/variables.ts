/** Of the platform itself; the dock sets its own. */
const SYSTEM = /^(VERCEL|NX_|TURBO_)/;

/**
 * What the standby is built with: Signalbox's own variables, and beside them those of the primary that can be read
 * back. `missing`: those that cannot, by name. Pure.
 */
export function mergeVariables(
  own: Readonly<Record<string, string>>,
  primary: readonly { readonly key: string; readonly value: string | null }[],
): { readonly env: Readonly<Record<string, string>>; readonly missing: readonly string[] } {
  const env: Record<string, string> = { ...own };
  const missing: string[] = [];
  for (const { key, value } of primary) {
    if (Object.hasOwn(own, key) || SYSTEM.test(key)) continue;
    if (value === null) missing.push(key);
    else env[key] = value;
  }
  return { env, missing: missing.sort() };
}
