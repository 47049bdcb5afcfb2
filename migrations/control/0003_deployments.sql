-- Deployments: their state, what happened to them, their build logs, and the rollbacks that people asked for.

create table deployments (
  id text primary key,
  -- Order of arrival, which `created_at` cannot give exactly.
  seq bigint generated always as identity unique,
  project_id text not null references projects,
  environment text not null check (environment in ('preview', 'staging', 'production')),
  -- What it competes for: the environment, and for previews the branch (`preview:<branch>`).
  slot text not null,
  branch text,
  commit_sha text,
  commit_message text,
  dirty boolean not null,
  source jsonb not null,
  force boolean not null,
  generation int not null default 1,

  state text not null check (state in (
    'queued', 'preparing', 'building', 'verifying', 'awaiting_approval', 'migrating', 'releasing', 'shifting',
    'live', 'rolling_back', 'superseded', 'rolled_back', 'failed', 'canceled', 'rejected')),
  state_since timestamptz not null,
  -- By then it has left its state, or is made to. Null: it may stay.
  deadline_at timestamptz,
  reason text,
  hint text,

  -- Who works on it. Each claim adds one to the token, and every write names its token: a stale owner writes nothing.
  lease_owner text,
  lease_until timestamptz,
  lease_token bigint not null default 0,
  -- Not to be looked at before this without a cause.
  wake_at timestamptz,

  plan jsonb,
  facts jsonb not null default '{}',
  target_deployment_id text,
  url text,
  urls jsonb not null default '[]',
  kind text check (kind in ('static', 'server', 'unknown')),
  reused boolean not null default false,
  build_started_at timestamptz,
  weight int not null default 0 check (weight between 0 and 100),
  previous_target_id text,
  rollback_to_id text references deployments,
  rollback_to_target_id text,
  rollback_of text references deployments,
  -- What is still owed to the target after the end.
  cleanup text check (cleanup in ('cancel_build', 'retire')),
  logs_complete boolean not null default false,
  live_at timestamptz,
  retired_at timestamptz,

  actor_id text,
  actor_name text not null,
  -- So that a crash between the commit and the answer cannot make a second deployment.
  idempotency_key text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  finished_at timestamptz
);

create unique index deployments_one_active on deployments (project_id, slot) where state in (
  'preparing', 'building', 'verifying', 'awaiting_approval', 'migrating', 'releasing', 'shifting', 'rolling_back');
create unique index deployments_one_live on deployments (project_id, slot) where state = 'live';
create unique index deployments_key on deployments (coalesce(actor_id, ''), idempotency_key)
  where idempotency_key is not null;
create index deployments_slot on deployments (project_id, slot, seq desc);
-- What the sweep looks through.
create index deployments_open on deployments (seq) where cleanup is not null or state in (
  'queued', 'preparing', 'building', 'verifying', 'awaiting_approval', 'migrating', 'releasing', 'shifting',
  'rolling_back');

create table deployment_events (
  id bigint generated always as identity primary key,
  deployment_id text not null references deployments,
  at timestamptz not null,
  -- Null: it was made. Equal states: its weight changed.
  from_state text,
  to_state text not null,
  weight int,
  reason text,
  actor_name text not null,
  lease_token bigint not null
);
create index deployment_events_deployment on deployment_events (deployment_id, id);

-- `seq` is the line's number in the target's log: copying a line twice is a conflict, and so happens once.
create table deployment_logs (
  deployment_id text not null references deployments,
  seq int not null,
  at timestamptz not null,
  stream text not null,
  text text not null,
  primary key (deployment_id, seq)
);

-- A rollback that a person asked for: written before traffic moves, so that whoever finishes it knows what was meant.
create table deployment_rollbacks (
  id text primary key,
  project_id text not null references projects,
  -- The deployment that gave up its traffic; null: only unfinished ones were stopped.
  from_id text references deployments,
  -- The deployment that serves afterwards; null: none does.
  to_id text references deployments,
  stopped jsonb not null,
  reason text,
  actor_id text,
  actor_name text not null,
  idempotency_key text,
  created_at timestamptz not null
);
create unique index deployment_rollbacks_key on deployment_rollbacks (coalesce(actor_id, ''), idempotency_key)
  where idempotency_key is not null;
