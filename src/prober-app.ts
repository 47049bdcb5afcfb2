/** The composition root of the prober: the only file beside app.ts that knows providers. */
import { join } from "node:path";
import {
  CHECK_REQUEST_CHANNEL,
  CHECKS_CHANNEL,
  type CheckTables,
  type HeartbeatTables,
  judgeDue,
  keepPartitions,
  listChecks,
  recordRounds,
  rollUp,
  sweepHeartbeats,
} from "./checks/index.ts";
import type { Config } from "./config.ts";
import type { Clock } from "./foundation/clock.ts";
import { createDatabase, createPool } from "./foundation/db.ts";
import { AppError } from "./foundation/errors.ts";
import { type Ids, randomShare } from "./foundation/ids.ts";
import type { Log } from "./foundation/log.ts";
import { startNotifier } from "./foundation/notify.ts";
import { createSecretBox, readOrCreateKey } from "./foundation/secret-box.ts";
import { connectControlPlane, parseCanaries, startAgent, startProber } from "./prober/index.ts";
import { requireDatabaseUrl } from "./process-options.ts";
import { loadProbe } from "./providers/probes/index.ts";
import type { SettingsTables } from "./settings/index.ts";

type Tables = CheckTables & HeartbeatTables & SettingsTables;
type Deps = { readonly clock: Clock; readonly ids: Ids; readonly log: Log };

/** Starts the prober of this machine's location. The database has been migrated by the control plane. */
export async function startProberProcess(
  config: Config,
  deps: Deps,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const undo = new AsyncDisposableStack();
  try {
    const { clock, ids, log } = deps;
    const databaseUrl = requireDatabaseUrl(config);
    const canaries = parseCanaries(config.prober.canaries);
    const onError = (error: Error) => log.warn({ err: error }, "an idle connection to the database broke");
    const pool = createPool({ databaseUrl, applicationName: "signalbox-prober", max: 6, onError });
    undo.defer(() => pool.end());
    const db = createDatabase<Tables>(pool);
    const channels = [CHECKS_CHANNEL, CHECK_REQUEST_CHANNEL];
    const notifier = await startNotifier({ databaseUrl, channels, clock, log });
    undo.defer(() => notifier.close());
    const box = createSecretBox(await readOrCreateKey(join(config.dir, "control", "secret.key")));
    const prober = await startProber({
      ...deps,
      db,
      notifier,
      share: randomShare,
      id: ids("prober"),
      location: config.prober.location,
      canaries,
      loadProbe,
      loadChecks: (shards) => listChecks({ db, box, allowNetworks: config.allowNetworks }, { shards }),
      chores: {
        judgeDue: (shards, now) => judgeDue({ db }, shards, now),
        rollUp: (shards, now) => rollUp({ db, clock }, shards, now),
        keepPartitions: (now) => keepPartitions({ db, clock }, now),
        sweepHeartbeats: (_shards, now) => sweepHeartbeats({ db, clock, log }, now),
      },
      record: (batch, fence) => recordRounds({ db, clock }, batch, fence),
    });
    undo.defer(() => prober.close());
    // It listens nowhere: what it knows is in the database.
    return { port: 0, close: () => undo.disposeAsync() };
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

/**
 * Starts an agent: the prober of a place that has no database. @throws AppError when there is nowhere to push to, or
 * the token is not good.
 */
export async function startAgentProcess(
  config: Config,
  deps: Pick<Deps, "clock" | "log">,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const { url } = config.cli;
  const { token } = config.prober;
  if (url === null || token === null) {
    throw new AppError("bad_request", "An agent needs to know where to push what it finds.", {
      hint: "Set SIGNALBOX_URL to the control plane's address, beside SIGNALBOX_PROBER_TOKEN.",
    });
  }
  const control = connectControlPlane(deps, { url, token }, config.allowNetworks);
  const { location } = await control.work();
  deps.log.info({ location }, "this agent pushes what it finds");
  const loadChecks = async () => (await control.work()).checks;
  const canaries = parseCanaries(config.prober.canaries);
  const agent = startAgent({
    ...deps,
    location,
    canaries,
    share: randomShare,
    loadChecks,
    loadProbe,
    push: control.push,
  });
  return { port: 0, close: agent.close };
}
