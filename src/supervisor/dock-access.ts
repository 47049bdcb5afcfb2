import { AppError } from "../foundation/errors.ts";
import { readSecrets } from "./secrets.ts";
import { readState } from "./state.ts";

/**
 * Where this machine's dock is and what opens it, for clients of Vercel's API.
 * @throws AppError `unprocessable` when nothing runs here
 */
export async function dockAccess(dir: string): Promise<{ url: string; token: string }> {
  const state = await readState(dir);
  if (state === null) {
    throw new AppError("unprocessable", `No Signalbox runs from ${dir}.`, {
      hint: "Start it with `signalbox up`, on the machine and in the folder where the dock is to be.",
    });
  }
  return { url: state.dockUrl, token: (await readSecrets(dir)).dockToken };
}
