-- Who may act (tokens), what they did (audit_log), and which answers to repeat (idempotency_keys).

create table tokens (
  id text primary key,
  name text not null,
  role text not null check (role in ('viewer', 'deployer', 'owner')),
  -- SHA-256 of the token. The token itself is shown once and never stored; 100 random bits need no slow hash.
  token_hash bytea not null unique,
  created_at timestamptz not null,
  revoked_at timestamptz
);

create table audit_log (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  actor_kind text not null,
  actor_id text,
  actor_name text not null,
  action text not null,
  subject_type text not null,
  subject_id text not null,
  details jsonb not null
);
create index audit_log_subject on audit_log (subject_type, subject_id, id);

-- One row for each (actor, route, key). `status` null: the first request is still in flight.
create table idempotency_keys (
  actor_id text not null,
  route text not null,
  key text not null check (length(key) between 1 and 255),
  request_hash bytea not null,
  status int,
  body jsonb,
  created_at timestamptz not null,
  primary key (actor_id, route, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);
