-- Schema of the dock. Time is always a parameter; nothing here reads the server's clock.

create table dock_state (
  id int primary key default 1 check (id = 1),
  -- Of the newest snapshot decided (bumped in the transaction that moves a pointer) and of the newest one acknowledged.
  generation bigint not null,
  acknowledged bigint not null,
  -- A known text sealed with the secret key: a wrong key is noticed at the start, not at the first read.
  key_check bytea
);
insert into dock_state (generation, acknowledged) values (0, 0);

create table projects (
  id text primary key,
  name text not null unique,
  settings jsonb not null,
  auto_assign boolean not null default true,
  last_alias_request jsonb,
  last_rollback_target jsonb,
  rolling_release_config jsonb,
  -- A promote that waits for the end of the active rolling release.
  queued_promotion text,
  created_at timestamptz not null,
  updated_at timestamptz not null
);

create table custom_environments (
  id text primary key,
  project_id text not null references projects on delete cascade,
  slug text not null,
  description text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  unique (project_id, slug)
);

create table variables (
  id text primary key,
  project_id text not null references projects on delete cascade,
  key text not null,
  type text not null check (type in ('system', 'encrypted', 'plain', 'sensitive')),
  sealed bytea not null,
  targets text[] not null,
  custom_environment_ids text[] not null,
  git_branch text,
  comment text,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index variables_project on variables (project_id);

-- The files of a deployment, once for every distinct tree: an unchanged redeploy writes no list again.
create table trees (
  digest text primary key,
  -- gzip of the JSON of TreeFile[].
  files bytea not null,
  file_count int not null,
  created_at timestamptz not null
);

create table artifacts (
  key text primary key,
  manifest text not null,
  kind text not null check (kind in ('static', 'server')),
  framework text,
  server jsonb,
  digests text[] not null,
  size_bytes bigint not null,
  created_at timestamptz not null
);

create table deployments (
  id text primary key,
  project_id text not null references projects on delete cascade,
  name text not null,
  -- Host of the immutable URL, without port.
  url text not null unique,
  target text check (target = 'production'),
  custom_environment_id text,
  branch text,
  state text not null check (state in ('QUEUED', 'BUILDING', 'READY', 'ERROR', 'CANCELED')),
  substate text check (substate in ('STAGED', 'ROLLING', 'PROMOTED')),
  auto_assign boolean not null,
  meta jsonb not null,
  git jsonb,
  settings jsonb not null,
  tree text not null references trees,
  prebuilt boolean not null,
  force boolean not null,
  -- Sealed JSON {build, run}.
  env bytea not null,
  attempts int not null default 0,
  artifact text references artifacts,
  reused boolean not null default false,
  -- Generation that first routed it, and that assigned its automatic aliases.
  ready_generation bigint,
  alias_generation bigint,
  aliases text[] not null default '{}',
  alias_error jsonb,
  error_code text,
  error_message text,
  source text,
  created_at timestamptz not null,
  building_at timestamptz,
  ready_at timestamptz,
  ended_at timestamptz,
  -- Set once it was aliased to production: only such a deployment can be rolled back to.
  promoted_at timestamptz,
  -- Set once its files were collected: it is history, not served any more.
  collected_at timestamptz
);
create index deployments_by_project on deployments (project_id, created_at desc);
create index deployments_by_age on deployments (created_at desc);
create index deployments_by_meta on deployments using gin (meta jsonb_path_ops);
create index deployments_unfinished on deployments (created_at) where state in ('QUEUED', 'BUILDING');

create table deployment_events (
  deployment_id text not null references deployments on delete cascade,
  serial bigint not null,
  at timestamptz not null,
  type text not null,
  level text,
  text text not null,
  primary key (deployment_id, serial)
);

create table aliases (
  host text primary key,
  uid text not null unique,
  project_id text not null references projects on delete cascade,
  deployment_id text not null references deployments,
  -- 'production' ones move with promote and rollback; 'custom' ones only by the alias API.
  kind text not null check (kind in ('production', 'environment', 'branch', 'custom')),
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index aliases_by_deployment on aliases (deployment_id);

create table rolling_releases (
  id text primary key,
  project_id text not null references projects on delete cascade,
  state text not null check (state in ('ACTIVE', 'COMPLETE', 'ABORTED')),
  current_deployment_id text not null,
  canary_deployment_id text not null,
  stages jsonb not null,
  active_stage int not null,
  started_at timestamptz not null,
  updated_at timestamptz not null
);
create unique index one_active_rolling_release on rolling_releases (project_id) where state = 'ACTIVE';
