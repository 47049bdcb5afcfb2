import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { formatTable } from "../terminal/table.ts";
import { type Lock, timeOf } from "./lock.ts";

const HEADER = ["LOCK", "PROJECT", "ENV", "OWNER", "UNTIL", "REASON"];

export const locks: Command = {
  name: "locks",
  summary: "the locks that hold now, oldest first",
  positionals: { usage: "", max: 0 },
  options: {},
  async run(context) {
    const answer = await context.api().get<{ locks: Lock[] }>("/api/locks");
    if (context.json) context.printJson(answer);
    else if (answer.locks.length === 0) context.note("Nothing is locked.");
    else {
      const rows = answer.locks.map(({ id, project, environment, owner, expiresAt, reason }) => [
        id,
        project ?? "all",
        environment ?? "all",
        owner,
        timeOf(expiresAt),
        reason,
      ]);
      for (const line of formatTable(HEADER, rows, context.paint)) context.print(line);
    }
    return EXIT.ok;
  },
};
