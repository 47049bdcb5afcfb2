import { requirePositional, usageError } from "../arguments.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { type Gate, tellGate } from "./approve.ts";

export const reject: Command = {
  name: "reject",
  summary: "reject a deployment that waits for approval",
  positionals: { usage: "<deployment>", max: 1 },
  options: { comment: { type: "string", value: "text", help: "required: what is wrong" } },
  examples: ["signalbox reject dep_… --comment 'the price is wrong'"],
  async run(context, args) {
    const id = requirePositional(reject, args, "the id of a deployment (see `signalbox list`)");
    const comment = args.text("comment");
    if (comment === null) {
      throw usageError(
        "`signalbox reject` needs --comment: what is wrong?",
        `signalbox reject ${id} --comment 'what whoever deployed it should know'`,
      );
    }
    const path = `/api/deploy/reject/${encodeURIComponent(id)}`;
    const gate = await context.api().post<Gate>(path, { comment });
    tellGate(context, gate);
    return EXIT.ok;
  },
};
