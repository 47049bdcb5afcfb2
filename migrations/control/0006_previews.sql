-- Previews for each pull request or branch: what is wanted (preview_policies), what the sweep made (previews), how the
-- last sweep went (preview_sweeps); and webhooks of git hosts: their secrets, and which deliveries were seen.

create table preview_policies (
  project_id text primary key references projects,
  source text not null check (source in ('github', 'branches', 'none')),
  repository text,
  git_url text,
  include jsonb not null,
  exclude jsonb not null,
  -- Null: a preview does not expire.
  ttl_ms bigint check (ttl_ms > 0),
  max_previews int not null check (max_previews between 0 and 1000),
  forks boolean not null,
  comment_url boolean not null,
  production_branch text,
  deploy_on_push jsonb not null,
  updated_at timestamptz not null
);

-- One row for each preview that the sweep answers for. What it has no row for was made by hand and is left alone.
create table previews (
  project_id text not null references projects,
  -- `pr-42` or `branch-<name>`.
  key text not null,
  source text not null,
  pull_request int,
  branch text not null,
  -- Set: it is to go, or gone. Written before anything is taken away, so that whoever comes next finishes it.
  closed_at timestamptz,
  close_kind text check (close_kind in ('gone', 'expired', 'person', 'policy', 'limit')),
  close_reason text,
  -- The newest deployment and its commit when it was closed: a newer one is a new life, another head a new reason.
  closed_deployment_id text,
  closed_commit text,
  -- What the git host was told last: `<commit> <state> <url>`.
  reported text,
  primary key (project_id, key)
);

create table preview_sweeps (
  project_id text primary key references projects,
  swept_at timestamptz,
  -- Since when the git host could not be read; null: the last sweep read it.
  failing_since timestamptz,
  failure text,
  steps jsonb not null
);

create table webhook_secrets (
  project_id text primary key references projects,
  -- Sealed: HMAC needs the secret itself, so a hash would not do.
  sealed bytea not null,
  created_at timestamptz not null
);

-- A delivery acts once. `outcome` null: whoever claimed it is at it, or died.
create table webhook_deliveries (
  project_id text not null references projects,
  delivery_id text not null check (length(delivery_id) between 1 and 200),
  event text not null,
  received_at timestamptz not null,
  claimed_at timestamptz not null,
  outcome jsonb,
  primary key (project_id, delivery_id)
);
create index webhook_deliveries_age on webhook_deliveries (project_id, received_at);
