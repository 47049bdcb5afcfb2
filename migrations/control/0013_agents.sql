-- Agents: probers at other places, which fetch their work and push what they found. One token, one location.

create table prober_agents (
  id text primary key,
  location text not null check (location ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$' and location <> 'local'),
  -- SHA-256; the token itself is shown once.
  token_hash bytea not null unique,

  seen_at timestamptz,
  -- What is added to the times that it tells, and by how much its clock seemed to be off when it pushed last.
  correction_ms float8 not null default 0,
  off_ms float8,
  actor_name text not null,
  created_at timestamptz not null,
  revoked_at timestamptz
);
create unique index prober_agents_location on prober_agents (location) where revoked_at is null;
