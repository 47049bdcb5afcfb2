/**
 * `npm run bench -- NAME [--json]`: runs one benchmark of bench/, or all of them with `all`. With --json the last
 * line is one object `{name, unit, ours, peers, ratios, target, pass}`. Exits 1 when the target was not reached.
 */
import { existsSync, readdirSync } from "node:fs";
import { resolve } from "node:path";

type Result = {
  name: string;
  unit: string;
  ours: unknown;
  peers: unknown;
  ratios: unknown;
  target: string;
  pass: boolean;
};

const names = readdirSync("bench")
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .map((file) => file.slice(0, -3));
const args = process.argv.slice(2);
const json = args.includes("--json");
const [wanted] = args.filter((arg) => !arg.startsWith("--"));

if (wanted !== "all" && (!wanted || !existsSync(`bench/${wanted}.ts`))) {
  console.error(`Usage: npm run bench -- NAME [--json], where NAME is all or one of: ${names.join(", ")}.`);
  process.exit(2);
}
let passed = true;
for (const name of wanted === "all" ? names : [wanted]) {
  const { run } = (await import(resolve("bench", `${name}.ts`))) as { run(): Promise<Result> };
  const result = await run();
  passed &&= result.pass;
  console.log(json ? JSON.stringify(result) : format(result));
}
process.exit(passed ? 0 : 1);

function format(result: Result): string {
  const { name, unit, target, pass, ...rest } = result;
  const lines = Object.entries(rest).map(([key, value]) => `  ${key.padEnd(12)} ${JSON.stringify(value)}`);
  return [`${pass ? "PASS" : "MISS"} ${name} (${unit}; target: ${target})`, ...lines].join("\n");
}
