import type { ProbeResult } from "../deployments/index.ts";

/** What one probe saw, told by whose fault it would be. */
export type Sighting =
  | { readonly kind: "good" }
  /** An answer that is not the one expected. `byPlatform`: of the platform's own fault, in place of the release. */
  | { readonly kind: "answered"; readonly byPlatform: boolean; readonly detail: string }
  /** The connection is taken and nothing said in time: a slow release looks like this, and a sick platform too. */
  | { readonly kind: "hung"; readonly detail: string }
  /** Not even a connection. */
  | { readonly kind: "unreachable"; readonly detail: string };

export function sightingOf(result: ProbeResult, expectStatus: readonly [number, number]): Sighting {
  const { ok, status, error, unreachable = false } = result;
  if (status === null) {
    if (ok) return { kind: "good" };
    return { kind: unreachable ? "unreachable" : "hung", detail: error ?? "no answer" };
  }
  const [from, to] = expectStatus;
  if (ok && status >= from && status <= to) return { kind: "good" };
  // Unreachable although there is a status: the platform's edge answers for a release that it does not get at.
  return { kind: "answered", byPlatform: unreachable, detail: error ?? `status ${status}` };
}
