import type pg from "pg";
import { DEFAULT_POLICY } from "../../src/checks/model.ts";

/** No prober is there, so that only the benchmark writes. */
const LOCATION = "benchmark";

/** `count` checks of 20 projects, all up, as a prober leaves them. */
export async function insertChecks(pool: pg.Pool, count: number): Promise<void> {
  const policy = JSON.stringify({ ...DEFAULT_POLICY, intervalMs: 10_000, locations: [LOCATION] });
  await pool.query(`
    insert into projects (id, name, created_at)
    select 'prj_bench_' || n, 'project-' || n, now() from generate_series(0, 19) n`);
  await pool.query(
    `insert into checks (id, project_id, environment, name, type, source, subject, settings, policy, shard,
       created_at, updated_at)
     select 'chk_bench_' || n, 'prj_bench_' || n % 20, 'production', 'service-' || n, 'http', 'api',
       'http://10.0.0.7', '', $2, n % 64, now(), now() from generate_series(0, $1 - 1) n`,
    [count, policy],
  );
  await pool.query(`
    insert into check_states select id, 'up', now(), '{}', null from checks where id like 'chk_bench_%'`);
  await pool.query(
    `insert into check_locations select id, $1, '{}', now(), random() * 100, 'up' from checks
     where id like 'chk_bench_%'`,
    [LOCATION],
  );
}

/** Every check is heard of every 10 s, a tenth a second in four batches; one of them changes its state each second. */
export function keepUpdating(pool: pg.Pool, count: number): { stop(): Promise<void> } {
  let at = 0;
  let under = Promise.resolve();
  const batch = async () => {
    const turn = at++;
    await pool.query(
      `update check_locations set last_at = now(), last_latency_ms = random() * 100
       where check_id in (select 'chk_bench_' || n from generate_series($1::int, $2 - 1, 40) n)`,
      [turn % 40, count],
    );
    if (turn % 4 !== 0) return;
    await pool.query(
      `with one as (update check_states set state = case state when 'up' then 'degraded' else 'up' end, since = now()
         where check_id = 'chk_bench_' || $1::int returning check_id)
       select pg_notify('check_state_changed', check_id) from one`,
      [turn % count],
    );
  };
  const timer = setInterval(() => {
    under = under.then(batch);
  }, 250);
  return {
    async stop() {
      clearInterval(timer);
      await under;
    },
  };
}
