import type { Clock } from "../../foundation/clock.ts";
import type { Log } from "../../foundation/log.ts";
import { tailLog } from "./app-log.ts";
import { type LaunchOptions, launch, type Running } from "./launch.ts";
import type { ProcessFamily } from "./process-family.ts";
import type { AppSpec, AppState } from "./run.ts";
import { waitUntilUp } from "./wait-until-up.ts";

/** A release that is kept running, from its start to its stop. */
export type App = {
  readonly spec: AppSpec;
  readonly family: ProcessFamily;
  readonly options: LaunchOptions;
  /** Aborted to stop keeping it running. Its processes are somebody else's business then. */
  readonly life: AbortController;
  state: AppState;
  /** Resolves with the first attempt's end: null once it answers, or why it does not. */
  readonly first: PromiseWithResolvers<string | null>;
};

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 30_000;
/** An app that was up this long has shown that it works: its next crash is a new story. */
const STEADY_MS = 60_000;

/** How long to wait after the n-th crash in a row (from 1): 100 ms, doubled each time, at most 30 s. */
export function backoffMs(crashes: number): number {
  return Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(20, Math.max(0, crashes - 1)));
}

/**
 * Starts the app (or goes on with `running`), and starts it again whenever it ends, until `app.life` aborts. A process
 * that does not answer in time counts as ended. Never throws.
 */
export async function supervise(
  app: App,
  running: Running | null,
  deps: { clock: Clock; log: Log; startDeadlineMs: number },
): Promise<void> {
  try {
    await keepRunning(app, running, deps);
  } catch (error) {
    if (app.life.signal.aborted) return;
    deps.log.error({ err: error, deployment: app.spec.deploymentId }, "an app can no longer be kept running");
    app.first.resolve(`could not be started (${error instanceof Error ? error.message : String(error)})`);
  }
}

async function keepRunning(
  app: App,
  adopted: Running | null,
  deps: { clock: Clock; log: Log; startDeadlineMs: number },
): Promise<void> {
  const { clock, log } = deps;
  const { signal } = app.life;
  let running = adopted;
  let crashes = 0;
  for (let restarts = 0; !signal.aborted; restarts++) {
    // What the last process left behind may hold the socket or a lock.
    if (running === null) await app.family.kill(clock);
    if (signal.aborted) return;
    app.state = { status: "starting", since: clock.now() };
    const began = clock.monotonicMs();
    const reason = await oneLife(app, running, restarts, deps);
    running = null;
    if (signal.aborted) return;
    crashes = clock.monotonicMs() - began >= STEADY_MS ? 1 : crashes + 1;
    const wait = backoffMs(crashes);
    const full = `The app ${reason}${await lastWords(app)}.`;
    app.state = {
      status: "crashed",
      reason: full,
      restarts,
      retryAt: new Date(clock.now().getTime() + wait),
    };
    log.warn({ deployment: app.spec.deploymentId, reason, retryMs: wait }, "an app ended");
    await clock.sleep(wait, signal);
  }
}

/** From launch to end. Returns why it ended, as the rest of a sentence that begins with "The app". */
async function oneLife(
  app: App,
  adopted: Running | null,
  restarts: number,
  { clock, startDeadlineMs }: { clock: Clock; startDeadlineMs: number },
): Promise<string> {
  const running = adopted ?? launch(app.options);
  if ("failed" in running) {
    app.first.resolve(running.failed);
    return running.failed;
  }
  const { pid, exited } = running;
  app.family.lead(pid);
  const { socket } = app.options;
  const { signal } = app.life;
  const result = await waitUntilUp({ socket, exited, deadlineMs: startDeadlineMs, clock, signal });
  if (!result.up) {
    app.first.resolve(result.reason);
    return result.reason;
  }
  app.state = { status: "up", since: clock.now(), pid, restarts };
  app.first.resolve(null);
  return Promise.race([exited, aborted(signal)]);
}

function aborted(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve("was stopped");
    signal.addEventListener("abort", () => resolve("was stopped"), { once: true });
  });
}

const NOISE = /^\s*at |^Node\.js v\d|^[\s^~}{)(\]]*$/;

/** The end of the app's output that says most, for a sentence. */
export async function lastWords(app: App): Promise<string> {
  const lines = (await tailLog(app.options.folder, 40)).filter((line) => !NOISE.test(line));
  const line = lines.findLast((text) => /error|fail|cannot|not found/i.test(text)) ?? lines.at(-1);
  return line === undefined ? " and printed nothing" : `: ${line.trim().replace(/\.$/, "").slice(0, 300)}`;
}
