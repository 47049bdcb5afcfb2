import { requirePositional } from "../arguments.ts";
import type { Command } from "../command.ts";
import type { Context } from "../context.ts";
import { EXIT } from "../exit-code.ts";

/** A deployment's gate as the API tells it. */
export type Gate = {
  readonly deploymentId: string;
  readonly state: string;
  readonly digest: string | null;
  readonly verdict:
    | { readonly is: "open"; readonly because: string }
    | { readonly is: "waits"; readonly reason: string; readonly until: string | null }
    | { readonly is: "rejected"; readonly reason: string; readonly hint: string }
    | null;
};

export const approve: Command = {
  name: "approve",
  summary: "approve a deployment that waits for it",
  positionals: { usage: "<deployment>", max: 1 },
  options: {
    comment: { type: "string", value: "text", help: "for the record" },
    digest: { type: "string", value: "sha256", help: "only if it still is what you looked at" },
  },
  examples: ["signalbox approve dep_… --comment 'tried the checkout'"],
  async run(context, args) {
    const id = requirePositional(approve, args, "the id of a deployment (see `signalbox list`)");
    const comment = args.text("comment");
    const digest = args.text("digest");
    const gate = await context.api().post<Gate>(`/api/deploy/approve/${encodeURIComponent(id)}`, {
      ...(comment === null ? {} : { comment }),
      ...(digest === null ? {} : { digest }),
    });
    tellGate(context, gate);
    return EXIT.ok;
  },
};

/** Says that it is on record, and what follows from it: one approval of two approves nothing yet. */
export function tellGate({ json, printJson, print, paint }: Context, gate: Gate): void {
  if (json) printJson(gate);
  else print(`${paint.green("✓")} Noted for ${gate.deploymentId}. ${followsFrom(gate.verdict)}`);
}

function followsFrom(verdict: Gate["verdict"]): string {
  if (verdict === null) return "Nothing will hold it.";
  return verdict.is === "open" ? verdict.because : verdict.reason;
}
