import type { CheckRules, ReadChecks } from "../checks/index.ts";
import { readTree } from "../sources/index.ts";
import { CONFIG_FILE, MAX_CONFIG_BYTES, requireConfig } from "./parse-config.ts";
import { resolveChecks } from "./plan-checks.ts";
import type { PrepareDeps } from "./prepare.ts";

/** What a deployment's own commit says of its checks. Read again, for it may have secrets in it and is in no row. */
export function readChecks(deps: Pick<PrepareDeps, "db" | "git">, rules: CheckRules): ReadChecks {
  return async ({ projectId, environment, source, branch, commit }, signal) => {
    if ("tree" in source) {
      const { config } = await readTree(deps.db, projectId, source.tree);
      return resolveChecks(requireConfig(config, rules), environment);
    }
    const url = source.git;
    const { sha } = await deps.git.fetch({ projectId, url, branch, commit: commit.sha }, signal);
    const text = await deps.git.readText({ url, sha, path: CONFIG_FILE, maxBytes: MAX_CONFIG_BYTES }, signal);
    return resolveChecks(requireConfig(text, rules), environment);
  };
}
