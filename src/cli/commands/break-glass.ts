import { requirePositional, usageError } from "../arguments.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { type Gate, tellGate } from "./approve.ts";

export const breakGlass: Command = {
  name: "break-glass",
  summary: "let a deployment through whatever holds it (owner; stays on record)",
  positionals: { usage: "<deployment>", max: 1 },
  options: { reason: { type: "string", value: "text", help: "required: what is on fire" } },
  examples: ["signalbox break-glass dep_… --reason 'checkout is down, this is the fix'"],
  async run(context, args) {
    const id = requirePositional(breakGlass, args, "the id of a deployment (see `signalbox list`)");
    const reason = args.text("reason");
    if (reason === null) {
      throw usageError(
        "`signalbox break-glass` needs --reason: what is on fire?",
        "At least 10 characters. It is what the record will show.",
      );
    }
    const path = `/api/deploy/break-glass/${encodeURIComponent(id)}`;
    const gate = await context.api().post<Gate>(path, { reason });
    tellGate(context, gate);
    return EXIT.ok;
  },
};
