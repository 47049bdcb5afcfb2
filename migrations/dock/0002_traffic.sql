-- What a host's traffic may be besides "all of it to one deployment".

-- Who had a host before who has it now: a visitor may still name it (skew protection) or be kept at it (drain), and a
-- rollback may go back to it. Newest first by superseded_at.
create table former_releases (
  host text not null,
  deployment_id text not null references deployments on delete cascade,
  project_id text not null references projects on delete cascade,
  superseded_at timestamptz not null,
  -- Visitors whose cookie names it keep it until then.
  drain_until timestamptz,
  -- It lost the host by going back: nobody is sent to it any more.
  rolled_back boolean not null,
  primary key (host, deployment_id)
);
create index former_releases_by_deployment on former_releases (deployment_id);

-- Hosts whose requests wait at the gateway. Each ends by itself.
create table holds (
  host text primary key,
  id text not null,
  project_id text not null references projects on delete cascade,
  until timestamptz not null,
  max_ms int not null,
  max_requests int not null
);

-- Seconds; 0: off; null: the dock's default.
alter table projects add column skew_protection_max_age int check (skew_protection_max_age >= 0);
-- How long visitors of a release may keep it after it lost its host.
alter table projects add column drain_ms int not null default 0 check (drain_ms >= 0);
