import type { PlanPorts } from "../deployments/index.ts";
import { AppError } from "../foundation/errors.ts";
import { lintExpand } from "../schema/index.ts";
import { readMigrationFiles, readTree } from "../sources/index.ts";
import type { MigrateSchemaDeps } from "./migrate-schema.ts";
import { CONFIG_FILE, requireConfig } from "./parse-config.ts";
import { resolvePlan } from "./plan.ts";

/** A commit's migrations against its own database, for a plan: what the migrator says, and what the files would do. */
export function readSchema(deps: MigrateSchemaDeps): PlanPorts["readSchema"] {
  return async (input, { files, services, commit: { sha } }, signal) => {
    const { source, environment, projectId } = input;
    const text =
      "tree" in source
        ? (await readTree(deps.db, projectId, source.tree)).config
        : await deps.git.readText(
            { url: source.git, sha: sha ?? "", path: CONFIG_FILE, maxBytes: 1_000_000 },
            signal,
          );
    const { migrations, env } = resolvePlan(requireConfig(text), environment);
    if (!migrations) return { expand: null, contract: null, locking: [], warnings: [] };
    const read = (dir: string | null) => readMigrationFiles(deps, { source, sha, files, dir }, signal);
    const phases = { expand: await read(migrations.expandDir), contract: await read(migrations.contractDir) };
    const { databaseVariable: variable, timeoutMs } = migrations;
    // A preview's variables are filled in for its services only.
    const filled = environment === "preview" ? services.find((each) => each.env[variable])?.env : env;
    const databaseUrl = filled?.[variable];
    if (!databaseUrl) throw new AppError("unprocessable", `the variable ${variable} is not set.`);
    const limitMs = Math.min(timeoutMs, PLAN_DATABASE_MS);
    const asked = { projectId, databaseUrl, files: phases, timeoutMs: limitMs };
    const { applied, pending, problems } = await deps.migrator.status(asked, signal);
    const outlook = (phase: "expand" | "contract") => ({
      applied: applied.filter((one) => one.phase === phase).map(({ name }) => name),
      pending: pending.filter((one) => one.phase === phase).map(({ name }) => name),
      problems: problems.filter((problem) => phases[phase].some(({ name }) => problem.startsWith(name))),
    });
    const isPending = new Set(pending.filter(({ phase }) => phase === "expand").map(({ name }) => name));
    const findings = lintExpand(phases.expand.filter(({ name }) => isPending.has(name)));
    const locks = findings.filter(({ message }) => LOCKS.test(message));
    const tell = ({ file, line, message }: (typeof findings)[number]) => `${file}:${line} ${message}`;
    return {
      expand: outlook("expand"),
      contract: outlook("contract"),
      locking: locks.map(tell),
      warnings: [...problems, ...findings.filter((finding) => !locks.includes(finding)).map(tell)],
    };
  };
}

/** Whoever plans waits for the answer. */
const PLAN_DATABASE_MS = 10_000;
/** `lintExpand` says so of what makes others wait. */
const LOCKS = /\block|writes wait/;
