import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { randomText } from "../foundation/ids.ts";
import type { ProcessName } from "./lock.ts";

/** What runs, for `status`, `down` and the next supervisor: `<dir>/supervisor.json`. */
export type SupervisorState = {
  readonly supervisor: ProcessName;
  readonly url: string;
  readonly dockUrl: string;
  readonly gatewayUrl: string;
  /** postgres (absent with DATABASE_URL), dock, gateway, control, prober. */
  readonly processes: Readonly<Record<string, ProcessName>>;
};

export async function readState(dir: string): Promise<SupervisorState | null> {
  const text = await readFile(fileOf(dir), "utf8").catch(() => null);
  return text === null ? null : (JSON.parse(text) as SupervisorState);
}

export async function writeState(dir: string, state: SupervisorState): Promise<void> {
  // Two writes may overlap; each needs a name of its own until it is whole.
  const partial = `${fileOf(dir)}.${randomText(6)}`;
  await writeFile(partial, JSON.stringify(state));
  await rename(partial, fileOf(dir));
}

export async function removeState(dir: string): Promise<void> {
  await rm(fileOf(dir), { force: true });
}

function fileOf(dir: string): string {
  return join(dir, "supervisor.json");
}
