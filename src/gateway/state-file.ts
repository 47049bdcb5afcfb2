import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { AppError, errorCodeOf } from "../foundation/errors.ts";
import type { Snapshot } from "./snapshot.ts";
import { parseSnapshot } from "./validate.ts";

/**
 * The snapshot that was served last, or null when there was none yet.
 * @throws AppError `internal` when the file cannot be read or does not hold a snapshot
 */
export async function readState(file: string): Promise<Snapshot | null> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    if (errorCodeOf(cause) === "ENOENT") return null;
    throw new AppError(
      "internal",
      `The gateway's state file ${file} cannot be read (${errorCodeOf(cause)}).`,
      {
        hint: "Give the gateway's user read access to it.",
        cause,
      },
    );
  }
  try {
    return parseSnapshot(JSON.parse(text));
  } catch (cause) {
    throw new AppError("internal", `The gateway's state file ${file} does not hold a snapshot.`, {
      hint: "Move the file away and start again: the dock pushes a new snapshot.",
      cause,
    });
  }
}

/** Replaces the state file so that a crash at any point leaves the old or the new one, whole and on disk. */
export async function writeState(file: string, snapshot: Snapshot): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const temporary = `${file}.new`;
  try {
    await writeAndSync(temporary, JSON.stringify(snapshot));
    await rename(temporary, file);
    await syncDirectory(dirname(file));
  } catch (cause) {
    await rm(temporary, { force: true });
    const reason = errorCodeOf(cause) ?? "unknown";
    throw new AppError("unavailable", `The snapshot could not be written to ${file} (${reason}).`, {
      hint: reason === "ENOSPC" ? "Free some disk space." : "Check the folder's permissions and the disk.",
      cause,
    });
  }
}

async function writeAndSync(path: string, text: string): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The rename itself is durable only once the directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
