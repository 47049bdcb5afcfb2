import type { NetworksOf } from "../../src/foundation/safe-fetch.ts";

/** Networks by project, as an owner allowed them; every other project has none. */
export function allowedTo(networks: Readonly<Record<string, readonly string[]>>): NetworksOf {
  return async (projectId) => networks[projectId] ?? [];
}
