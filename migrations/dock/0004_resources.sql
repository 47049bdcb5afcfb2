-- Resources of the API beside projects and deployments.

-- What is kept and shown, and reaches no build. passwordProtection never holds the password.
alter table projects add column options jsonb not null default '{}';
alter table projects add column link jsonb;
alter table projects add column paused_at timestamptz;
alter table custom_environments add column branch_matcher jsonb;
-- What was changed of the one team.
alter table dock_state add column team jsonb not null default '{}';

-- Secrets that open protected deployments. The gateway gets the hash only.
create table bypass_secrets (
  id text primary key,
  project_id text not null references projects on delete cascade,
  hash text not null unique,
  sealed bytea not null,
  note text,
  is_env boolean not null,
  created_at timestamptz not null
);
create index bypass_secrets_by_project on bypass_secrets (project_id);

create table shared_variables (
  id text primary key,
  key text not null,
  type text not null check (type in ('encrypted', 'plain', 'sensitive')),
  sealed bytea not null,
  targets text[] not null,
  project_ids text[] not null,
  comment text,
  created_at timestamptz not null,
  updated_at timestamptz not null
);

-- Hosts that follow a project. Without branch and environment: its production.
create table project_domains (
  name text primary key,
  project_id text not null references projects on delete cascade,
  redirect text,
  redirect_status int check (redirect_status in (301, 302, 307, 308)),
  git_branch text,
  custom_environment_id text references custom_environments on delete set null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index project_domains_by_project on project_domains (project_id);

-- A deployment whose automatic aliases wait for checks.
alter table deployments add column checks_state text check (checks_state in ('pending', 'succeeded', 'failed'));
alter table deployments add column checks_started_at timestamptz;
alter table deployments add column checks_completed_at timestamptz;

create table project_checks (
  id text primary key,
  project_id text not null references projects on delete cascade,
  name text not null,
  requires text not null,
  blocks text not null,
  targets text[] not null,
  timeout_s int not null,
  source jsonb not null,
  is_rerequestable boolean not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index project_checks_by_project on project_checks (project_id);

-- One attempt at a check. Of several for one check of a deployment the newest counts. version 1: it stands alone.
create table check_runs (
  id text primary key,
  serial bigint generated always as identity,
  version int not null check (version in (1, 2)),
  deployment_id text not null references deployments on delete cascade,
  project_id text not null references projects on delete cascade,
  check_id text references project_checks on delete cascade,
  name text not null,
  path text,
  requires text not null,
  blocks text not null,
  targets text[] not null,
  timeout_s int,
  source jsonb not null,
  is_rerequestable boolean not null,
  status text not null check (status in ('queued', 'running', 'completed')),
  conclusion text,
  conclusion_text text,
  external_id text,
  url text,
  output jsonb,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  started_at timestamptz,
  completed_at timestamptz,
  -- From then on it counts as timed out. Null: never, or not yet.
  deadline timestamptz
);
create index check_runs_by_deployment on check_runs (deployment_id);
create index check_runs_by_check on check_runs (check_id);
create index check_runs_due on check_runs (deadline) where status <> 'completed' and deadline is not null;

create table webhooks (
  id text primary key,
  url text not null,
  events text[] not null,
  project_ids text[] not null,
  sealed bytea not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);

-- The outbox: written with what happened, gone once delivered. Delivered in order of serial for each webhook.
create table webhook_deliveries (
  serial bigint generated always as identity primary key,
  webhook_id text not null references webhooks on delete cascade,
  event text not null,
  body text not null,
  attempts int not null default 0,
  created_at timestamptz not null,
  next_at timestamptz not null
);
create index webhook_deliveries_by_webhook on webhook_deliveries (webhook_id, serial);

create table edge_configs (
  id text primary key,
  slug text not null unique,
  -- By key: {value, description, createdAt, updatedAt}.
  items jsonb not null,
  definition jsonb,
  digest text not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);

create table edge_config_tokens (
  id text primary key,
  edge_config_id text not null references edge_configs on delete cascade,
  label text not null,
  hash text not null unique,
  sealed bytea not null,
  created_at timestamptz not null
);

-- Kept and shown: the dock answers no DNS and issues no certificates.
create table domains (
  name text primary key,
  id text not null unique,
  settings jsonb not null,
  created_at timestamptz not null
);
create table dns_records (
  id text primary key,
  domain text not null references domains on delete cascade,
  type text not null,
  name text not null,
  value text not null,
  ttl int,
  mx_priority int,
  comment text,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index dns_records_by_domain on dns_records (domain, created_at desc);
create table certs (
  id text primary key,
  cns text[] not null,
  auto_renew boolean not null,
  created_at timestamptz not null,
  expires_at timestamptz not null
);

alter table rolling_releases add column advancement text not null default 'manual-approval'
  check (advancement in ('manual-approval', 'automatic'));
-- When the active stage began; with its duration, when an automatic one ends.
alter table rolling_releases add column stage_at timestamptz;
