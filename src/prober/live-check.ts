import type { Failure, LoadedCheck, LocationState, Outcome, ProbeKind } from "../checks/index.ts";
import type { Clock } from "../foundation/clock.ts";
import { messageOf } from "../foundation/errors.ts";
import type { LoadProbe } from "./ports.ts";
import type { Look } from "./run-round.ts";

/** A check that this prober runs. */
export type LiveCheck = {
  readonly check: LoadedCheck;
  readonly look: Look;
  /** What its limits are counted by, and what the network may be cut off from. Null: no host. */
  readonly host: string | null;
  /** What it was made from: the same text is the same check. */
  readonly print: string;
  /** What our location says of it. */
  state: LocationState | null;
  /** The round under way. */
  running: Promise<void> | null;
  readonly abort: AbortController;
};

/** What decides whether a check that was read again is another one. */
export function printOf(check: LoadedCheck): string {
  return JSON.stringify([check.type, check.settings, check.policy, check.network, check.problem]);
}

/** Ready to run. What cannot be run answers why at each look, so that it is shown and not just silent. */
export async function prepareCheck(
  deps: { clock: Clock; loadProbe: LoadProbe },
  check: LoadedCheck,
  state: LocationState | null,
): Promise<LiveCheck> {
  const prepared = await prepare(deps, check);
  return { ...prepared, check, print: printOf(check), state, running: null, abort: new AbortController() };
}

async function prepare(
  { clock, loadProbe }: { clock: Clock; loadProbe: LoadProbe },
  check: LoadedCheck,
): Promise<Pick<LiveCheck, "look" | "host">> {
  if (check.problem) return { look: always(check.problem), host: null };
  try {
    const kind = await loadProbe(check.type);
    const settings = kind.settings.safeParse(check.settings);
    if (!settings.success) return { look: always(invalid(settings.error.issues)), host: null };
    return { look: lookWith(kind, settings.data, check, clock), host: kind.host(settings.data) };
  } catch (error) {
    const message = `No probe of the type ${check.type} can be loaded: ${messageOf(error)}.`;
    return { look: always({ class: "unsupported", message }), host: null };
  }
}

function lookWith(kind: ProbeKind, settings: unknown, { network }: LoadedCheck, clock: Clock): Look {
  return (timeoutMs, signal) => kind.run(settings, { timeoutMs, signal, network, clock });
}

function always(failure: Failure): Look {
  const outcome: Outcome = { status: "down", failure };
  return async () => outcome;
}

/** Without the values, which may be secrets. */
function invalid(issues: readonly { path: PropertyKey[]; message: string }[]): Failure {
  const what = issues.map(({ path, message }) => `${path.map(String).join(".")}: ${message}`).join("; ");
  return { class: "unsupported", message: `The settings do not fit the probe. ${what}` };
}
