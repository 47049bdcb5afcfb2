/**
 * The domain that a host belongs to: its last two labels. The list of suffixes under which people register names is
 * not looked at; for a host under one of two labels (`co.uk`) this names the suffix.
 */
export function apexOf(host: string): string {
  return host.split(".").slice(-2).join(".");
}
