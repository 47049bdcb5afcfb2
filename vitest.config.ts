import { availableParallelism } from "node:os";
import { configDefaults, defineConfig } from "vitest/config";
import LongestFirst from "./test/support/longest-first.ts";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "bench/**/*.test.ts", "scripts/**/*.test.ts"],
    // Installs and builds real apps, for minutes: `npm run frameworks`.
    exclude: [...configDefaults.exclude, "test/e2e/frameworks.test.ts"],
    globalSetup: ["test/support/postgres.ts"],
    // Real processes, three files at a time on two cores: generous, so that only a hang fails for time.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // Of one second by default: the kernel alone may take that long to notice that a link is up again.
    expect: { poll: { timeout: 20_000 } },
    pool: "forks",
    // One more than the cores, since tests of whole installations mostly wait. Eight share one Postgres comfortably.
    maxWorkers: Math.min(availableParallelism() + 1, 8),
    sequence: { sequencer: LongestFirst },
  },
});
