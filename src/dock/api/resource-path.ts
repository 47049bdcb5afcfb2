/**
 * The path of a resource without its version: clients ask for the same thing as `/v1/…`, `/v13/…`, `/now/…`,
 * `/v3/now/…` and without any (recorded from the official CLI and SDK), so routes are matched by resource.
 */
export function resourcePath(url: string): string {
  const { pathname } = new URL(url, "http://dock");
  const resource = pathname.replace(/^\/(v\d+(\/|$))?(now(\/|$))?/, "/").replace(/\/+$/, "");
  return resource === "" ? "/" : resource;
}
