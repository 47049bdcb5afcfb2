-- Settings of a project that are in no commit: secrets, and the networks that its checks may reach. And how far its
-- checks follow what is live.

create table project_secrets (
  project_id text not null references projects,
  -- Null: of every environment that has none of that name of its own.
  environment text check (environment in ('preview', 'staging', 'production', 'development')),
  name text not null,
  sealed bytea not null,
  updated_at timestamptz not null,
  actor_name text not null,
  unique nulls not distinct (project_id, environment, name)
);

-- Beside the public ones.
create table project_networks (
  project_id text not null references projects,
  cidr text not null,
  reason text not null,
  actor_name text not null,
  created_at timestamptz not null,
  primary key (project_id, cidr)
);

-- What the checks of a place were made of. A place without a row has never been looked at.
create table check_syncs (
  project_id text not null references projects,
  slot text not null,
  deployment_id text not null references deployments,
  -- Of the rules by which configurations become checks: when they change, it is made anew.
  rules text not null,
  synced_at timestamptz not null,
  -- What of it nothing checks, and why.
  gaps jsonb not null,
  -- Why its configuration could not be read: the checks of before are still there. Null: it could.
  failure text,
  failed_at timestamptz,
  primary key (project_id, slot)
);
