-- Cron jobs of what serves production.

-- Null: they run. They are switched off for a project, whatever its deployments ask for.
alter table projects add column crons_disabled_at timestamptz;
-- Of the last switch, or null before the first one.
alter table projects add column crons_updated_at timestamptz;

-- When a job was last due and taken: whoever moves `due_at` forward runs it, so that none runs twice for one moment.
create table cron_runs (
  project_id text not null references projects on delete cascade,
  path text not null,
  schedule text not null,
  due_at timestamptz not null,
  primary key (project_id, path, schedule)
);
