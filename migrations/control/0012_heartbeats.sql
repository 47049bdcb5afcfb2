-- Heartbeats: checks that are not asked. They say themselves that they are well, and silence is what is found.
create table heartbeats (
  check_id text primary key references checks,
  -- SHA-256 of the secret address; null until one was made.
  key_hash bytea unique check (length(key_hash) = 32),
  -- What it keeps to; beside the sealed settings, for the deadline is moved by whoever takes a beat.
  schedule jsonb not null,
  -- new: never heard of.
  state text not null check (state in ('new', 'up', 'down', 'unknown')),
  since timestamptz not null,
  failure jsonb,
  -- One more with every change: whoever changes it names the one that was read.
  version bigint not null,
  -- When the next beat is due, and when silence is its failure. Null: nothing is waited for.
  expected_at timestamptz,
  alert_after timestamptz,
  -- Its word is given again then, so that a time without anybody to give it is a time of which nothing is known.
  tell_at timestamptz not null,
  -- Starts without an end: {"run id": ms since the epoch}.
  runs jsonb not null,
  last_at timestamptz,
  last_kind text check (last_kind in ('success', 'start', 'fail')),
  last_exit_code int,
  last_runtime_ms bigint,
  last_output text
);
create index heartbeats_alert on heartbeats (alert_after) where alert_after is not null;
create index heartbeats_tell on heartbeats (tell_at) where state <> 'new';

-- The times in which beats could be heard: a deadline that passed outside them says nothing of the beat.
create table heartbeat_listening (
  since timestamptz primary key,
  until timestamptz not null check (until >= since)
);
