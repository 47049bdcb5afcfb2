import { requirePositional } from "../arguments.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { type Lock, placeOf } from "./lock.ts";

export const unlock: Command = {
  name: "unlock",
  summary: "release a lock before its time",
  positionals: { usage: "<lock>", max: 1 },
  options: { reason: { type: "string", value: "text", help: "for the record" } },
  examples: ["signalbox unlock lck_…"],
  async run(context, args) {
    const id = requirePositional(unlock, args, "the id of a lock (see `signalbox locks`)");
    const reason = args.text("reason");
    const path = `/api/locks/${encodeURIComponent(id)}/release`;
    const answer = await context.api().post<{ lock: Lock }>(path, reason === null ? {} : { reason });
    if (context.json) context.printJson(answer);
    else context.print(`${context.paint.green("✓")} ${id} no longer locks ${placeOf(answer.lock)}.`);
    return EXIT.ok;
  },
};
