--! breaking: a deployment has several services; the columns of its only one are gone
-- Several services in one deployment, pull requests, signals of people, contract migrations, outcomes.

alter table deployments
  add column pull_request int,
  -- What is deployed, in shifting order, with what the target made of it.
  add column services jsonb not null default '[]',
  -- On a live one: when the contract migrations of its commit may run.
  add column contract_at timestamptz,
  add column outcome text check (outcome in ('success', 'failure', 'error', 'timeout', 'cancellation', 'skip'));

update deployments d set
  services = jsonb_build_array(jsonb_build_object(
    'name', 'app', 'targetProject', p.name, 'targetProjectId', d.plan ->> 'targetProjectId', 'inputs', '',
    'health', jsonb_build_object(
      'checks', jsonb_build_array(jsonb_build_object(
        'type', 'http', 'path', d.plan #> '{health,path}', 'expectStatus', d.plan #> '{health,expectStatus}',
        'contains', null)),
      'timeoutMs', d.plan #> '{health,timeoutMs}', 'intervalMs', d.plan #> '{health,intervalMs}',
      'minHealthyMs', d.plan #> '{health,minHealthyMs}', 'graceMs', 0,
      'deadlineMs', d.plan #> '{health,deadlineMs}'),
    'unchanged', false, 'targetDeploymentId', d.target_deployment_id, 'url', d.url, 'urls', d.urls, 'kind', d.kind,
    'built', d.url is not null, 'reused', d.reused,
    'buildStartedAtMs', (extract(epoch from d.build_started_at) * 1000)::bigint,
    'verification', null, 'weight', d.weight, 'previousTargetId', d.previous_target_id, 'previousUrl', null,
    'rollbackToTargetId', d.rollback_to_target_id, 'rollbackToUrl', null)),
  plan = jsonb_build_object(
    'strategy', '{"kind": "instant"}'::jsonb, 'gate', '{"approvals": null, "waitMs": 0}'::jsonb, 'schema', null,
    'progressDeadlineMs', null, 'rollbackWindowMs', 3600000, 'steppedRollback', false, 'drainMs', 0),
  facts = facts - 'rollout' - 'verification'
from projects p where p.id = d.project_id and d.plan is not null;

alter table deployments
  drop column target_deployment_id, drop column url, drop column urls, drop column kind, drop column reused,
  drop column build_started_at, drop column previous_target_id, drop column rollback_to_target_id,
  drop constraint deployments_cleanup_check,
  add constraint deployments_cleanup_check check (cleanup in ('cancel_build', 'retire', 'vacate'));

-- Who has this release at the target?
create index deployments_services on deployments using gin (services jsonb_path_ops);
drop index deployments_open;
create index deployments_open on deployments (seq) where cleanup is not null or contract_at is not null or state in (
  'queued', 'preparing', 'building', 'verifying', 'awaiting_approval', 'migrating', 'releasing', 'shifting',
  'rolling_back');

-- What people say to a rollout that is under way. Folded once, in order of `id`.
create table deployment_signals (
  id bigint generated always as identity primary key,
  deployment_id text not null references deployments,
  kind text not null check (kind in ('pause', 'resume', 'advance', 'promote', 'abort')),
  reason text,
  actor_name text not null,
  at timestamptz not null
);
create index deployment_signals_deployment on deployment_signals (deployment_id, id);

-- A line is known by its service and its number in the target's log; `seq` is the order in which readers get them.
alter table deployment_logs add column service text not null default 'app', add column line int;
update deployment_logs set line = seq;
alter table deployment_logs
  alter column line set not null,
  alter column service drop default,
  add constraint deployment_logs_line unique (deployment_id, service, line);

-- Names of projects at the target: of a project, and of each of its services. Two must never share one.
create table target_projects (
  name text primary key,
  project_id text not null references projects
);
insert into target_projects (name, project_id) select name, id from projects;

-- For the delivery figures, which look at what changed in a window.
create index deployments_changed on deployments (environment, updated_at);
