import { defineConfig } from "vitest/config";

/** The comparison with the frameworks' own servers alone: it installs and builds every app, which takes minutes. */
export default defineConfig({
  test: {
    include: ["test/e2e/frameworks.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 900_000,
    pool: "forks",
  },
});
