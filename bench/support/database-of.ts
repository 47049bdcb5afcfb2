import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** The URL of the database that an instance in `dir` runs for itself: what the API does not tell is looked up there. */
export async function databaseOf(dir: string): Promise<string> {
  const { password, port } = JSON.parse(await readFile(join(dir, "postgres.json"), "utf8"));
  return `postgres://signalbox:${password}@127.0.0.1:${port}/signalbox`;
}
