import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { AppError, errorCodeOf, messageOf } from "../../foundation/errors.ts";

/** The file of tokens: one for each control plane, and which of them is used when none is named. */
export type Credentials = {
  readonly servers: Readonly<Record<string, { readonly token: string }>>;
  readonly default: string | null;
};

const NONE: Credentials = { servers: {}, default: null };

/** Reads the file; one that is not there holds nothing. @throws AppError when it is there but cannot be read. */
export async function readCredentials(file: string): Promise<Credentials> {
  try {
    const parsed = JSON.parse(await readFile(file, "utf8")) as Partial<Credentials> | null;
    return { servers: parsed?.servers ?? {}, default: parsed?.default ?? null };
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT") return NONE;
    throw new AppError("unprocessable", `The credentials in ${file} cannot be read: ${messageOf(error)}.`, {
      hint: "Correct or delete the file, then run `signalbox login` again.",
      cause: error,
    });
  }
}

/**
 * Stores a token for a control plane and makes it the default. The file is replaced as a whole and has mode
 * 0600, so no reader sees half of it and no other user sees any of it.
 */
export async function saveCredentials(file: string, url: string, token: string): Promise<void> {
  const current = await readCredentials(file);
  const address = normalizeUrl(url);
  const next: Credentials = {
    servers: { ...current.servers, [address]: { token } },
    default: address,
  };
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}.tmp`;
  // A leftover of a run that was killed may have another mode: `wx` never writes into what is there.
  await rm(temporary, { force: true });
  const handle = await open(temporary, "wx", 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(next, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}

/** One spelling for each address: no path, no slash at the end, `localhost` kept as it is. */
export function normalizeUrl(url: string): string {
  return url.replace(/\/+$/, "");
}
