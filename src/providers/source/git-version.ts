import { execFile } from "node:child_process";
import { AppError } from "../../foundation/errors.ts";

/** The first that takes `http.curloptResolve`, by which it is given the addresses that were checked. */
const PINS_SINCE = [2, 37] as const;

const newEnough = new Set<string>();

/**
 * An older git ignores the setting and looks the name up again, which may answer otherwise by then (DNS rebinding).
 * @param path PATH to find git by. @throws AppError `unprocessable`
 */
export async function requirePinning(path: string): Promise<void> {
  if (newEnough.has(path)) return;
  const said = await versionOf(path);
  const [, major = 0, minor = 0] = (/git version (\d+)\.(\d+)/.exec(said) ?? []).map(Number);
  const [needed, since] = PINS_SINCE;
  // Where there is no git at all, whoever starts it says so.
  if (said !== "" && (major < needed || (major === needed && minor < since)))
    throw new AppError("unprocessable", `${said} cannot be held to the addresses that were checked.`, {
      hint: `Install git ${PINS_SINCE.join(".")} or newer on the control plane, or fetch by ssh.`,
    });
  if (said !== "") newEnough.add(path);
}

function versionOf(path: string): Promise<string> {
  return new Promise((resolve) => {
    execFile("git", ["--version"], { env: { PATH: path, LC_ALL: "C" } }, (error, stdout) =>
      resolve(error === null ? stdout.trim().slice(0, 100) : ""),
    );
  });
}
