import { type Arguments, usageError } from "./arguments.ts";
import type { Context } from "./context.ts";

/** The project that `--project` names, or the only one that there is. */
export async function projectOf(context: Context, args: Arguments): Promise<string> {
  const named = args.text("project");
  if (named !== null) return named;
  const { projects } = await context.api().get<{ projects: { name: string }[] }>("/api/projects");
  const [only, ...others] = projects.map(({ name }) => name);
  if (only !== undefined && others.length === 0) return only;
  throw usageError(
    only === undefined ? "There is no project yet." : "There are several projects; which one?",
    only === undefined
      ? "Make one with `signalbox deploy` in its folder."
      : `Add --project with one of: ${[only, ...others].join(", ")}.`,
  );
}
