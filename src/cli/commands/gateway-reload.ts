import http from "node:http";
import { join } from "node:path";
import { AppError, errorCodeOf, messageOf } from "../../foundation/errors.ts";
import { readText } from "../client/transport.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";

export const gatewayReload: Command = {
  name: "gateway reload",
  summary: "replace the gateway's workers by new ones without dropping a request",
  positionals: { usage: "", max: 0 },
  options: {},
  async run(context) {
    const { workers } = await reload(context.config.dir);
    if (context.json) context.printJson({ workers });
    else {
      const what = `${workers} gateway worker${workers === 1 ? "" : "s"}`;
      context.print(`${context.paint.green("✓")} ${what} replaced.`);
    }
    return EXIT.ok;
  },
};

/**
 * Asks the gateway itself, by its admin socket: only who may read `dir` on its machine may reload it. Answers when
 * every worker was replaced, which takes as long as the old ones' requests last.
 */
async function reload(dir: string): Promise<{ workers: number }> {
  const socketPath = join(dir, "run", "gateway.sock");
  const { status, text } = await postReload(socketPath).catch((error: unknown) => {
    const code = errorCodeOf(error);
    const absent = code === "ENOENT" || code === "ECONNREFUSED";
    throw new AppError(
      "unavailable",
      absent
        ? `No gateway of ${dir} is running.`
        : `The gateway of ${dir} did not answer: ${messageOf(error)}.`,
      {
        hint: "Run this on the gateway's machine, in the folder where `signalbox up` was run (or set SIGNALBOX_DIR).",
        cause: error,
      },
    );
  });
  if (status === 200) return JSON.parse(text) as { workers: number };
  throw new AppError("upstream", `The gateway refused to reload (${status}): ${text.slice(0, 500)}`, {
    hint: "It serves as before. Look into the gateway's log.",
  });
}

function postReload(socketPath: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, method: "POST", path: "/reload" }, (response) => {
      readText(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject);
    });
    request.on("error", reject);
    request.end();
  });
}
