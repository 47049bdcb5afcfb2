-- What is remembered of projects at Vercel: what has to be put back after a promotion, which builds were asked for, and
-- what was seen there that we did not do.

create table vercel_projects (
  target_project_id text primary key,
  -- The team's own autoAssignCustomDomains: a promotion switches it on, and a rollback off.
  auto_assign boolean,
  -- Since when a promotion of ours is under way; whoever finds it old puts `auto_assign` back.
  restoring_since timestamptz,
  -- {"config": …}: the team's own template of rolling releases, while ours is in its place.
  rolling jsonb,
  -- The check of ours that holds a deployment's domains.
  check_id text
);

-- Vercel's POST is not idempotent: a build that was asked for before may be there although it is not listed yet.
create table vercel_builds (
  key text primary key,
  asked_at timestamptz not null
);
create index vercel_builds_age on vercel_builds (asked_at);

-- One row for each project at the target that is watched for changes that are not ours.
create table outside_watches (
  target_project_id text primary key,
  project_id text not null references projects,
  -- What was seen last; the next look is compared with it.
  seen jsonb,
  looked_at timestamptz,
  failing_since timestamptz,
  failure text,
  -- Who looks has it until then: what was seen earlier is never written after what was seen later.
  claimed_until timestamptz
);
create index outside_watches_project on outside_watches (project_id);

create table outside_events (
  id bigint generated always as identity primary key,
  project_id text not null references projects,
  target_project_id text not null,
  -- The same happening has the same key, whoever brings it: a delivery or a look.
  key text not null,
  at timestamptz not null,
  kind text not null,
  target_deployment_id text,
  -- Ours, where there is one.
  deployment_id text references deployments,
  summary text not null,
  details jsonb not null,
  unique (target_project_id, key)
);
create index outside_events_project on outside_events (project_id, id desc);

create table vercel_webhooks (
  project_id text primary key references projects,
  sealed bytea not null,
  -- Its id at Vercel, where we made it.
  hook_id text,
  url text,
  created_at timestamptz not null
);

-- A delivery is looked at once. Kept longer than an old one is taken.
create table vercel_deliveries (
  project_id text not null references projects,
  delivery_id text not null check (length(delivery_id) between 1 and 200),
  type text not null,
  received_at timestamptz not null,
  primary key (project_id, delivery_id)
);
create index vercel_deliveries_age on vercel_deliveries (project_id, received_at);
