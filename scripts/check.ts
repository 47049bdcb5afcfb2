/** `npm run check`: types, lint and format, and the tidy rules. Seconds, without a database. */
import { spawn } from "node:child_process";

const checks: Record<string, string[]> = {
  types: ["node_modules/.bin/tsc", "-p", "."],
  lint: ["node_modules/.bin/biome", "check", "--error-on-warnings", "."],
  tidy: [process.execPath, "node_modules/vitest/vitest.mjs", "run", "--config", "test/tidy.config.ts"],
};

const results = await Promise.all(
  Object.entries(checks).map(async ([name, [command = "", ...args]]) => {
    const { status, output } = await run(command, args);
    console.log(`${status === 0 ? "ok  " : "FAIL"} ${name}`);
    if (status !== 0) console.log(output);
    return status;
  }),
);
process.exit(results.every((status) => status === 0) ? 0 : 1);

function run(command: string, args: string[]): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => (output += String(chunk)));
    child.on("error", (error) => resolve({ status: 1, output: error.message }));
    child.on("close", (status) => resolve({ status: status ?? 1, output }));
  });
}
