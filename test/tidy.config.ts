import { defineConfig } from "vitest/config";

/** The tidy rules alone, without the database that the other tests share. */
export default defineConfig({
  test: { include: ["test/tidy.test.ts", "test/egress.test.ts"], testTimeout: 60_000 },
});
