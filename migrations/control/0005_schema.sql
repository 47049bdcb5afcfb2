-- Migrations of the deployed apps' databases: what was run for which deployment, and the texts of their files.

-- What is applied is recorded in the app's own database, in the file's own transaction; here is the account of it.
create table migration_runs (
  -- Of the side effect: an attempt after a crash goes on in the same row.
  key text primary key,
  deployment_id text not null references deployments,
  project_id text not null references projects,
  environment text not null,
  phase text not null check (phase in ('expand', 'contract')),
  state text not null check (state in ('running', 'done', 'failed')),
  attempts int not null default 1,
  -- Names of the commit's files of this phase.
  files jsonb not null,
  -- Those of them that this deployment applied.
  applied jsonb not null default '[]',
  -- The newest applied file of each phase afterwards.
  expand_version text,
  contract_version text,
  -- At most 64 KiB.
  log text not null default '',
  error text,
  hint text,
  started_at timestamptz not null,
  finished_at timestamptz
);
create index migration_runs_deployment on migration_runs (deployment_id, started_at);
create index migration_runs_contracts on migration_runs (project_id, environment) where phase = 'contract';

-- Contents of files that the control plane reads itself. Everything else of a tree passes through to the target.
create table source_texts (
  sha1 text primary key check (sha1 ~ '^[0-9a-f]{40}$'),
  -- Where it was last seen in a tree, for messages.
  path text not null,
  -- Null: asked for, and not sent yet.
  text text,
  size int not null,
  -- When it was last asked for or read.
  at timestamptz not null
);
create index source_texts_age on source_texts (at);
