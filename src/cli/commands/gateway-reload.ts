import { AppError, errorCodeOf } from "../../foundation/errors.ts";
import { gatewaySocket } from "../../process-options.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";

export const gatewayReload: Command = {
  name: "gateway reload",
  summary: "replace the gateway's workers by new ones without dropping a request",
  positionals: { usage: "", max: 0 },
  options: {},
  async run(context) {
    // Loaded here only: no other command needs the proxy's code.
    const { reloadGateway } = await import("../../gateway/index.ts");
    const socket = gatewaySocket(context.config);
    const { workers } = await reloadGateway(socket).catch((error: unknown) => {
      const code = error instanceof AppError ? error.code : errorCodeOf(error);
      if (code !== "unavailable" && code !== "ENOENT" && code !== "ECONNREFUSED") throw error;
      throw new AppError("unavailable", `No gateway of ${context.config.dir} is running.`, {
        hint: "Run this on the gateway's machine, in the folder where `signalbox up` was run (or set SIGNALBOX_DIR).",
        cause: error,
      });
    });
    if (context.json) context.printJson({ workers });
    else
      context.print(
        `${context.paint.green("✓")} ${workers} gateway worker${workers === 1 ? "" : "s"} replaced.`,
      );
    return EXIT.ok;
  },
};
