-- Checks: what is asked, by whom, what came back, and what is said of it.

create table checks (
  id text primary key,
  project_id text not null references projects,
  environment text not null check (environment in ('preview', 'staging', 'production', 'development')),
  name text not null,
  type text not null,
  source text not null check (source in ('config', 'deployment', 'api')),
  -- What it asks, for people; and its settings, sealed, since they hold addresses with passwords.
  subject text not null,
  settings bytea not null,
  policy jsonb not null,
  -- The live deployment that it follows; null for those made by hand.
  deployment_id text references deployments,
  -- Work is shared by shards of this number; the hash of the id, 0 to 63.
  shard int not null check (shard between 0 and 63),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  -- Its history outlives it.
  retired_at timestamptz
);
create unique index checks_name on checks (project_id, environment, name) where retired_at is null;
create index checks_shard on checks (shard) where retired_at is null;

-- What is shown. The row is its own lock: whoever changes the state holds it, and writes span and event with it.
create table check_states (
  check_id text primary key references checks,
  state text not null check (state in ('up', 'degraded', 'down', 'unknown')),
  since timestamptz not null,
  displayed jsonb not null,
  -- To be judged again then although nothing was heard: something ends, or is too old.
  judge_at timestamptz
);
create index check_states_judge on check_states (judge_at) where judge_at is not null;

-- What each location says. `last_*` are of the newest sample, trusted or not.
create table check_locations (
  check_id text not null references checks,
  location text not null,
  fold jsonb not null,
  last_at timestamptz not null,
  last_latency_ms real,
  last_status text not null check (last_status in ('up', 'degraded', 'down', 'unknown')),
  primary key (check_id, location)
) with (fillfactor = 50);

-- One row for each round, as it was found, whatever was made of it. A partition a day (UTC), made and dropped by the
-- prober.
create table check_samples (
  check_id text not null,
  location text not null,
  -- When it was due: a round that is sent twice is a conflict, and so happens once.
  scheduled_at timestamptz not null,
  started_at timestamptz not null,
  late_ms real not null,
  status text not null check (status in ('up', 'degraded', 'down', 'unknown')),
  untrusted text check (untrusted in ('lag', 'offline', 'missed', 'busy')),
  latency_ms real,
  -- Of the histogram; null where the latency says nothing.
  latency_bucket smallint,
  failure_class text,
  -- Message, phases, observed facts and the attempts; only where there is something to say.
  details jsonb,
  primary key (check_id, location, scheduled_at)
) partition by range (scheduled_at);
-- What has no day of its own yet: an insert never fails for want of a partition. The prober sorts it out.
create table check_samples_default partition of check_samples default;

-- Each state of a check, half-open; the last one has no end. They never overlap and leave nothing out. While a check
-- is flapping they tell what is below: up and down, not the `degraded` that is shown.
create table check_spans (
  check_id text not null references checks,
  from_at timestamptz not null,
  to_at timestamptz,
  state text not null check (state in ('up', 'degraded', 'down', 'unknown')),
  failure_class text,
  primary key (check_id, from_at)
);
create unique index check_spans_open on check_spans (check_id) where to_at is null;

-- Transitions: exactly one for each change of `check_states.state`, whoever made it.
create table check_events (
  id bigint generated always as identity primary key,
  check_id text not null references checks,
  -- When it began, which may be before it was confirmed; and when it was written.
  at timestamptz not null,
  written_at timestamptz not null,
  from_state text not null,
  to_state text not null,
  failure_class text,
  message text,
  -- No incident of its own: what it depends on is down, or it is in a window of maintenance.
  suppressed_by text,
  -- The deployment that was live, or taking traffic, when it began.
  deployment_id text references deployments
);
create index check_events_check on check_events (check_id, id desc);

-- Rollups. Times in whole ms; what is covered by nothing is unknown. `histogram`: counts by bucket, {"57": 12}.
create table check_minutes (
  check_id text not null references checks,
  at timestamptz not null,
  up_ms int not null,
  degraded_ms int not null,
  down_ms int not null,
  unknown_ms int not null,
  maintenance_ms int not null,
  samples int not null,
  failed int not null,
  missed int not null,
  histogram jsonb not null,
  primary key (check_id, at)
);
create table check_hours (like check_minutes including all);
alter table check_hours add foreign key (check_id) references checks;
-- A day of the zone that it was counted in; 23, 24 or 25 hours long. Frozen once it is over and counted.
create table check_days (
  check_id text not null references checks,
  day date not null,
  zone text not null,
  from_at timestamptz not null,
  to_at timestamptz not null,
  up_ms int not null,
  degraded_ms int not null,
  down_ms int not null,
  unknown_ms int not null,
  maintenance_ms int not null,
  samples int not null,
  failed int not null,
  missed int not null,
  histogram jsonb not null,
  frozen boolean not null,
  primary key (check_id, day)
);

-- Windows in which trouble is planned. What is down in one is not counted where the policy says so.
create table maintenance_windows (
  id text primary key,
  project_id text not null references projects,
  environment text not null,
  -- Names of checks; null: all of the environment.
  checks jsonb,
  from_at timestamptz not null,
  to_at timestamptz not null check (to_at > from_at),
  reason text not null,
  actor_name text not null,
  created_at timestamptz not null,
  ended_at timestamptz
);
create index maintenance_windows_time on maintenance_windows (project_id, environment, to_at);

-- Who probes. A location without a prober that was seen lately reports nothing, and its word expires.
create table probers (
  id text primary key,
  location text not null,
  kind text not null check (kind in ('inside', 'agent')),
  started_at timestamptz not null,
  seen_at timestamptz not null,
  -- What it says of itself: lateness, missed ticks, write lag, its own connectivity.
  report jsonb not null
);
create index probers_location on probers (location, seen_at);

-- The shares of the work of each location inside; each claim adds one to the token, and every write names it.
create table check_shards (
  location text not null,
  shard int not null check (shard between 0 and 63),
  owner text,
  lease_until timestamptz not null,
  token bigint not null,
  primary key (location, shard)
);

-- "Run it now", asked by a person; done by whoever holds the shard.
create table check_requests (
  id text primary key,
  check_id text not null references checks,
  asked_at timestamptz not null,
  answered_at timestamptz,
  round jsonb
);
create index check_requests_open on check_requests (asked_at) where answered_at is null;

-- How far each check is rolled up; the row is its own lock.
create table check_rollups (
  check_id text primary key references checks,
  -- Every whole minute before it is counted.
  minutes_to timestamptz not null,
  -- The end of the last frozen day: nothing before it changes any more.
  frozen_to timestamptz not null,
  -- Minutes before it are deleted.
  pruned_to timestamptz not null
);

-- What changed after it was counted: from there on it is counted again.
create table check_rerolls (
  id bigint generated always as identity primary key,
  check_id text not null,
  from_at timestamptz not null
);
create index check_rerolls_check on check_rerolls (check_id);

-- Whoever writes a sample or a span late, or alters one, need not know of rollups.
create function note_late_samples() returns trigger language plpgsql as $$
begin
  insert into check_rerolls (check_id, from_at)
    select w.check_id, min(w.scheduled_at)
    from written w join check_rollups r on r.check_id = w.check_id and w.scheduled_at < r.minutes_to
    group by w.check_id;
  return null;
end $$;
create trigger check_samples_late after insert on check_samples referencing new table as written
  for each statement execute function note_late_samples();

create function note_late_span() returns trigger language plpgsql as $$
declare
  changed text;
  since timestamptz;
begin
  if tg_op = 'INSERT' then
    changed := new.check_id;
    since := new.from_at;
  elsif tg_op = 'DELETE' then
    changed := old.check_id;
    since := old.from_at;
  else
    changed := new.check_id;
    since := case
      when old.state = new.state and old.from_at = new.from_at then least(old.to_at, new.to_at)
      else least(old.from_at, new.from_at) end;
  end if;
  insert into check_rerolls (check_id, from_at)
    select r.check_id, since from check_rollups r where r.check_id = changed and r.minutes_to > since;
  return null;
end $$;
create trigger check_spans_late after insert or update or delete on check_spans
  for each row execute function note_late_span();
