-- Failover: a second place kept ready for a project's production, who serves its hostname, and every switch.

create table failovers (
  project_id text not null references projects,
  environment text not null check (environment = 'production'),
  -- What the live deployment's configuration asks for, and whether it still does: the way back outlives the wish.
  policy jsonb not null,
  asked boolean not null,
  live_id text not null references deployments,
  -- Who serves the hostname, as it was last read back.
  serving text not null default 'primary' check (serving in ('primary', 'standby')),
  serving_since timestamptz not null,
  -- Only what was switched automatically comes back automatically.
  switched_by text check (switched_by in ('automatic', 'person')),
  -- A person's word over the configuration's `automatic: true`.
  automatic boolean not null default true,
  -- The switch that is under way: written down before anything is changed, so that whoever comes next finishes it.
  switch jsonb,
  health jsonb not null,
  -- When where the hostname points was last read, and what was found if it was none of the two sides.
  read_at timestamptz,
  elsewhere text,
  lease_owner text,
  lease_until timestamptz,
  lease_token bigint not null default 0,
  wake_at timestamptz not null,
  primary key (project_id, environment)
);

create table failover_standbys (
  project_id text not null,
  environment text not null,
  -- The deployment that it is to mirror, and its builds at the dock.
  deployment_id text not null references deployments,
  generation int not null default 1,
  releases jsonb not null default '[]',
  attempts int not null default 0,
  error text,
  -- The deployment that its hosts show.
  mirrored_id text references deployments,
  mirrored jsonb not null default '[]',
  mirrored_at timestamptz,
  -- Its last health check: since when it answers; null: it does not.
  answering_since timestamptz,
  failures int not null default 0,
  checked_at timestamptz,
  -- Variables that the primary has and the standby has not: names only.
  missing_variables jsonb not null default '[]',
  warning text,
  lease_owner text,
  lease_until timestamptz,
  lease_token bigint not null default 0,
  wake_at timestamptz not null,
  primary key (project_id, environment),
  foreign key (project_id, environment) references failovers
);

create table failover_events (
  id bigint generated always as identity primary key,
  project_id text not null references projects,
  environment text not null,
  at timestamptz not null,
  kind text not null check (kind in (
    'switching', 'switched', 'abandoned', 'moved', 'automatic_on', 'automatic_off', 'standby_ready', 'standby_failed')),
  -- Null: it is about no switch.
  switch_id text,
  side text check (side in ('primary', 'standby')),
  reason text,
  actor_name text not null,
  lease_token bigint not null
);
create index failover_events_place on failover_events (project_id, environment, id desc);
-- Each transition of a switch is told once, whoever finishes it.
create unique index failover_events_once on failover_events (switch_id, kind) where switch_id is not null;
