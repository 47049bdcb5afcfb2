import type { Context } from "../context.ts";
import { formatAge } from "../terminal/quantity.ts";

/** One project at the target, as the API tells of it. */
export type Watch = {
  readonly project: string;
  readonly production: string | null;
  readonly isOurs: boolean;
  readonly pinned: boolean;
  readonly paused: boolean;
  readonly autoAssign: boolean | null;
  readonly teamAutoAssign: boolean | null;
  readonly failingSince: string | null;
  readonly failure: string | null;
};

/** What a reader of the status should know of the target; nothing where all is as we left it. */
export function outsideNotes(watches: readonly Watch[], now: Date): string[] {
  return watches.flatMap((watch) => {
    const { project, production, isOurs, pinned, paused, autoAssign, teamAutoAssign } = watch;
    const drifted =
      !pinned && autoAssign !== null && teamAutoAssign !== null && autoAssign !== teamAutoAssign;
    return [
      ...(paused ? [`${project} is paused at the target: it serves nobody.`] : []),
      ...(isOurs ? [] : [`${project}: production is ${production}, which Signalbox did not put there.`]),
      ...(pinned
        ? [`${project} is pinned by a rollback until the next deployment, or \`signalbox outside unpin\`.`]
        : []),
      ...(drifted
        ? [`${project}: domains of new production builds were switched ${autoAssign ? "on" : "off"} outside.`]
        : []),
      ...(watch.failingSince === null
        ? []
        : [
            `${project}: the target does not answer since ${formatAge(watch.failingSince, now)}: ${watch.failure}`,
          ]),
    ];
  });
}

/** Of every project. An older control plane has nothing to tell, and nothing of it may fail a status. */
export async function readOutside(context: Context): Promise<readonly Watch[]> {
  try {
    return (await context.api().get<{ watches: Watch[] }>("/api/outside")).watches;
  } catch {
    return [];
  }
}
