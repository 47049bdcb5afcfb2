-- What holds a deployment at red: approvals, locks, freeze windows; and who broke the glass.

create table deployment_approvals (
  id text primary key,
  deployment_id text not null references deployments,
  -- Of what it was given for. Another digest now: the row stays, and does not count.
  digest text not null check (digest ~ '^[0-9a-f]{64}$'),
  decision text not null check (decision in ('approve', 'reject')),
  actor_id text,
  actor_name text not null,
  comment text check (length(comment) <= 2000),
  at timestamptz not null,
  check (decision = 'approve' or comment is not null)
);
-- Saying the same again is saying it once.
create unique index deployment_approvals_once
  on deployment_approvals (deployment_id, digest, decision, coalesce(actor_id, ''), actor_name);

create table deploy_locks (
  id text primary key,
  -- Null: all projects.
  project_id text references projects,
  -- Null: all environments.
  environment text check (environment in ('preview', 'staging', 'production')),
  owner_id text,
  owner_name text not null,
  reason text not null check (reason ~ '\S' and length(reason) <= 1000),
  created_at timestamptz not null,
  -- It ends by itself then. Null: only when it is released.
  expires_at timestamptz check (expires_at > created_at),
  released_at timestamptz,
  released_by text,
  release_reason text,
  check ((released_at is null) = (released_by is null))
);
create index deploy_locks_held on deploy_locks (created_at) where released_at is null;

create table freeze_windows (
  id text primary key,
  project_id text references projects,
  environment text check (environment in ('preview', 'staging', 'production')),
  name text not null check (name ~ '\S' and length(name) <= 80),
  reason text check (length(reason) <= 1000),
  owner_id text,
  owner_name text not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  kind text not null check (kind in ('once', 'weekly')),
  starts_at timestamptz,
  ends_at timestamptz check (ends_at > starts_at),
  -- Local times of a zone, because a weekly window is of different length when the clocks are changed.
  days text[] check (cardinality(days) > 0 and days <@ array['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']),
  from_time text check (from_time ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'),
  until_time text check (until_time ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'),
  until_day text check (until_day in ('sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat')),
  time_zone text,
  deleted_at timestamptz,
  deleted_by text,
  check (case kind
    when 'once' then num_nulls(starts_at, ends_at) = 0
      and num_nonnulls(days, from_time, until_time, until_day, time_zone) = 0
    else num_nonnulls(starts_at, ends_at) = 0 and num_nulls(days, from_time, until_time, time_zone) = 0 end),
  check ((deleted_at is null) = (deleted_by is null))
);
create index freeze_windows_kept on freeze_windows (created_at) where deleted_at is null;

create table break_glass (
  deployment_id text primary key references deployments,
  actor_id text,
  actor_name text not null,
  reason text not null check (length(regexp_replace(reason, '\s', '', 'g')) >= 10 and length(reason) <= 1000),
  at timestamptz not null
);
