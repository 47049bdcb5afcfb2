import { requirePositional } from "../arguments.ts";
import type { Deployment } from "../client/deployment.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";

const WHAT = "the id of a deployment whose traffic moves (see `signalbox status`)";

/** Five commands that differ in one word: what is said to a rollout under way. */
function signal(name: string, summary: string, said: string): Command {
  const command: Command = {
    name,
    summary,
    positionals: { usage: "<deployment>", max: 1 },
    options: { reason: { type: "string", value: "text", help: "for the record" } },
    examples: [`signalbox ${name} dep_… --reason 'watched the checkout'`],
    async run(context, args) {
      const id = requirePositional(command, args, WHAT);
      const reason = args.text("reason");
      const path = `/api/deploy/${name}/${encodeURIComponent(id)}`;
      const body = reason === null ? {} : { reason };
      const { deployment } = await context.api().post<{ deployment: Deployment }>(path, body);
      if (context.json) context.printJson({ deployment });
      else {
        context.print(`${context.paint.green("✓")} ${id} was told to ${said}.`);
        context.note(`  watch it:  ${context.paint.cyan(`signalbox status ${id} --watch`)}`);
      }
      return EXIT.ok;
    },
  };
  return command;
}

export const promote = signal("promote", "skip the rest of a rollout: all traffic", "take all traffic");
export const advance = signal("advance", "end this stage of a rollout now", "go on to the next stage");
export const pause = signal("pause", "hold a rollout where it is", "stay where it is");
export const resume = signal("resume", "go on with a rollout that is paused", "go on");
export const abort = signal("abort", "take a rollout's traffic back", "give its traffic back");
