-- What is deployed (projects) and the file trees that people sent (trees), by content.

create table projects (
  id text primary key,
  name text not null unique,
  git_url text,
  -- The project's id at the target, once it was made there (`prj_…` on Vercel).
  target_project_id text,
  created_at timestamptz not null
);

create table trees (
  project_id text not null references projects,
  -- SHA-256 of the sorted manifest: the same tree twice is one row.
  digest text not null check (digest ~ '^[0-9a-f]{64}$'),
  -- The manifest as gzipped JSON: 5,000 files are 0.3 MB so, and 0.9 MB as jsonb.
  files bytea not null,
  file_count int not null,
  size bigint not null,
  -- Text of the tree's signalbox.yaml, if it has one.
  config text,
  created_at timestamptz not null,
  primary key (project_id, digest)
);
create index trees_age on trees (created_at);

-- Files that the target took lately. Only a memory of answers: the target's own word is final.
create table uploaded_files (
  sha1 text primary key check (sha1 ~ '^[0-9a-f]{40}$'),
  size bigint not null,
  uploaded_at timestamptz not null
);
create index uploaded_files_age on uploaded_files (uploaded_at);
