import { defineConfig } from "vitest/config";

/** Real apps that the official CLI builds, alone: every one is installed and built, which takes minutes. */
export default defineConfig({
  test: {
    include: ["test/e2e/frameworks.test.ts", "test/e2e/built-apps.test.ts"],
    globalSetup: ["test/support/postgres.ts"],
    // Each has the machine to itself: their tables tell how long builds take.
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 900_000,
    pool: "forks",
  },
});
