import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { systemClock } from "../../src/foundation/clock.ts";
import { startEmbeddedPostgres } from "../../src/foundation/embedded-postgres.ts";
import { silentLog } from "../../src/foundation/log.ts";

/** Starts one throw-away PostgreSQL for the whole run. Nothing of it outlives the run, so it need not fsync. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = await mkdtemp(join(tmpdir(), "signalbox-test-"));
  await chmod(dir, 0o755);
  const flags = { fsync: "off", synchronous_commit: "off", full_page_writes: "off" };
  const postgres = await startEmbeddedPostgres({ clock: systemClock, log: silentLog }, { dir, flags });
  project.provide("databaseUrl", postgres.databaseUrl);
  return async () => {
    await postgres.stop();
    await rm(dir, { recursive: true, force: true });
  };
}
