-- What a Build Output has besides files: the functions, as `GET /deployments/:id/builds` shows them, and its cron jobs
-- (`[{path, schedule}]`), which are run for the production release.
alter table artifacts add column functions jsonb not null default '[]';
alter table artifacts add column crons jsonb not null default '[]';
