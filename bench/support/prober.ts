import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { env } from "node:process";
import type pg from "pg";
import { DEFAULT_POLICY, type Policy, type ProbeType } from "../../src/checks/model.ts";
import { sealSettings } from "../../src/checks/sealed-settings.ts";
import { shardOf } from "../../src/checks/shard.ts";
import { NICE, prioritise } from "../../src/foundation/priority.ts";
import { createSecretBox, readOrCreateKey } from "../../src/foundation/secret-box.ts";

export type ProberProcess = {
  readonly pid: number;
  readonly child: ChildProcess;
  /** `SIGTERM`, and its end. */
  stop(): Promise<void>;
};

/** A real prober, by the command that starts one alone. `pin`: the one core that it may use. */
export async function startProberProcess(options: {
  databaseUrl: string;
  dir: string;
  variables?: Readonly<Record<string, string>>;
  pin?: number;
}): Promise<ProberProcess> {
  const main = join(import.meta.dirname, "../../src/main.ts");
  const command = [process.execPath, main, "start", "prober"];
  const [program = "", ...args] =
    options.pin === undefined ? command : ["taskset", "-c", String(options.pin), ...command];
  const log = openSync(join(options.dir, "prober.log"), "a", 0o600);
  const child = spawn(program, args, {
    env: {
      ...env,
      SIGNALBOX_ALLOW_NETWORKS: "127.0.0.0/8",
      ...options.variables,
      DATABASE_URL: options.databaseUrl,
      SIGNALBOX_DIR: options.dir,
    },
    stdio: ["ignore", log, log, "ipc"],
  });
  closeSync(log);
  const [message] = (await once(child, "message")) as [{ type: string; message?: string }];
  // As the supervisor does with it.
  prioritise(child.pid, NICE.control);
  if (message.type !== "ready") throw new Error(`the prober did not start: ${message.message}`);
  return {
    pid: child.pid ?? 0,
    child,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    },
  };
}

export type NewCheck = {
  readonly id: string;
  readonly type: ProbeType;
  readonly settings: unknown;
  readonly policy?: Partial<Policy>;
};

/** Checks of a project "bench" in the database, as the API writes them. */
export async function insertChecks(
  pool: pg.Pool,
  dir: string,
  now: Date,
  checks: readonly NewCheck[],
): Promise<void> {
  const box = createSecretBox(await readOrCreateKey(join(dir, "control", "secret.key")));
  await pool.query(
    "insert into projects (id, name, created_at) values ('prj_bench', 'bench', $1) on conflict do nothing",
    [now],
  );
  const column = <T>(read: (check: NewCheck) => T) => checks.map(read);
  await pool.query(
    `insert into checks (id, project_id, environment, name, type, source, subject, settings, policy, shard, created_at,
       updated_at)
     select id, 'prj_bench', 'production', id, type, 'api', id, settings, policy::jsonb, shard, $1, $1
     from unnest($2::text[], $3::text[], $4::bytea[], $5::text[], $6::int[]) as t (id, type, settings, policy, shard)`,
    [
      now,
      column(({ id }) => id),
      column(({ type }) => type),
      column(({ id, settings }) => sealSettings(box, id, settings)),
      column(({ policy }) => JSON.stringify({ ...DEFAULT_POLICY, ...policy })),
      column(({ id }) => shardOf(id)),
    ],
  );
  await pool.query("select pg_notify('checks_changed', '')");
}
