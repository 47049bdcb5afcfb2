import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errorCodeOf } from "../foundation/errors.ts";
import { randomText } from "../foundation/ids.ts";

/** What the processes of one installation share and nobody else knows: `<dir>/secrets.json`, mode 0600. */
export type Secrets = {
  /** The control plane's bearer token at the dock. */
  readonly dockToken: string;
  /** Hex, 32 bytes: signs the gateway's sticky cookies. */
  readonly cookieSecret: string;
};

/** Reads the installation's secrets; makes them on first use. Safe when several processes start at once. */
export async function readSecrets(dir: string): Promise<Secrets> {
  await mkdir(dir, { recursive: true });
  const file = join(dir, "secrets.json");
  const known = await readFile(file, "utf8").catch(() => null);
  if (known !== null) return JSON.parse(known) as Secrets;
  const made: Secrets = {
    dockToken: `dock_${randomText(32)}`,
    cookieSecret: randomBytes(32).toString("hex"),
  };
  const partial = `${file}.${process.pid}`;
  await writeFile(partial, JSON.stringify(made), { mode: 0o600 });
  await link(partial, file).catch((error) => {
    if (errorCodeOf(error) !== "EEXIST") throw error;
  });
  await rm(partial);
  return readSecrets(dir);
}
