import { join } from "node:path";
import type { DockOptions } from "./options.ts";
import { createRunner } from "./run/index.ts";

/**
 * Ends every app process of this dock, which outlive it otherwise; for when everything is to stop. The dock itself must
 * not run. Resolves when none is left.
 */
export async function stopDockApps(
  options: Pick<DockOptions, "dir" | "path" | "clock" | "log">,
): Promise<void> {
  const { dir, path, clock, log } = options;
  const runner = createRunner({ dir: join(dir, "run"), path, clock, log });
  await runner.adopt([]);
  await runner.close();
}
