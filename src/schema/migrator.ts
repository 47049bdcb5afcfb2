/** `expand` adds what the new release needs, before it gets traffic; `contract` removes what the old one needed. */
export type Phase = "expand" | "contract";

/** One file of a commit, as it is in the tree. */
export type MigrationFile = {
  /** Without its folder: `0003_add_email.sql`. */
  readonly name: string;
  /** Of the file's bytes. */
  readonly sha1: string;
  readonly sql: string;
};

/** What `signalbox.yaml` says about migrations, resolved for one environment. */
export type SchemaPlan = {
  /** With its password; never shown, logged or stored. */
  readonly databaseUrl: string;
  /** Folder in the repository: every `*.sql` directly in it, in byte order of the names. Null: none. */
  readonly expandDir: string | null;
  readonly contractDir: string | null;
  /** For a whole phase, waiting for another migration included. */
  readonly timeoutMs: number;
  /** How long one statement may wait for a lock: whatever waits behind it, the app included, waits as long. */
  readonly lockTimeoutMs: number;
};

export const SCHEMA_DEFAULTS = {
  databaseVariable: "DATABASE_URL",
  timeoutMs: 5 * 60_000,
  lockTimeoutMs: 5_000,
} as const;

/** The newest applied file of each phase: what a release was made for. Null: none was ever applied. */
export type SchemaVersion = { readonly expand: string | null; readonly contract: string | null };

export type AppliedMigration = {
  readonly name: string;
  readonly phase: Phase;
  readonly sha1: string;
  readonly at: Date;
  /** The deployment that applied it. */
  readonly release: string;
};

export type MigrationInput = {
  readonly databaseUrl: string;
  readonly phase: Phase;
  readonly files: readonly MigrationFile[];
  readonly timeoutMs: number;
  readonly lockTimeoutMs: number;
  /** Whose database it is: it is connected to only where that project may. */
  readonly projectId: string;
  readonly project: string;
  readonly environment: string;
  /** Id of the deployment; written beside each file that it applies. */
  readonly release: string;
  /** Each line of the log as it comes, without secrets. */
  readonly onLine: (line: string) => void;
  /** A file is applied and its record is committed. */
  readonly onApplied: (name: string) => void;
};

export type MigrationResult = {
  /** What this release applied in this phase, in an attempt that was cut off as well. In order. */
  readonly applied: readonly string[];
  readonly version: SchemaVersion;
};

export type SchemaStatus = {
  readonly applied: readonly AppliedMigration[];
  readonly pending: readonly { readonly name: string; readonly phase: Phase; readonly sha1: string }[];
  /** Why a run would refuse: changed and misplaced files. Empty: it would go ahead. */
  readonly problems: readonly string[];
};

/**
 * Port: applies migrations to the database of the app that is deployed. Implemented in `src/providers/migrator/`, one
 * file a database. Throws AppError: `unprocessable` and `bad_request` for what a retry only repeats (a bad statement, a
 * changed file, a phase out of time), `timeout` when another migration did not let go in time, `unavailable` when the
 * connection broke, `canceled`. When it cannot know whether a file's record was committed, `details.uncertain` is its
 * name; asking again finds out.
 */
export type Migrator = {
  readonly name: string;
  /** Applies what is pending, in order, each file exactly once, one run at a time. Idempotent. */
  run(input: MigrationInput, signal: AbortSignal): Promise<MigrationResult>;
  /** What is applied and what would be. Changes nothing. */
  status(
    input: {
      readonly projectId: string;
      readonly databaseUrl: string;
      readonly files: Readonly<Record<Phase, readonly MigrationFile[]>>;
      readonly timeoutMs: number;
    },
    signal: AbortSignal,
  ): Promise<SchemaStatus>;
};
