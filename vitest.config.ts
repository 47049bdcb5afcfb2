import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "bench/**/*.test.ts", "scripts/**/*.test.ts"],
    // Installs and builds real apps, for minutes: `npm run frameworks`.
    exclude: [...configDefaults.exclude, "test/e2e/frameworks.test.ts"],
    globalSetup: ["test/support/postgres.ts"],
    // Real processes on two cores: generous, so that only a hang fails for time.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: "forks",
  },
});
