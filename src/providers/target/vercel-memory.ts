import type { Database } from "../../foundation/db.ts";

/** What is remembered of a project at Vercel. */
export type ProjectMemory = {
  /** The team's own `autoAssignCustomDomains`, as it was before we changed anything. Null: not known yet. */
  readonly autoAssign: boolean | null;
  /** Since when a promotion of ours is under way, after which `autoAssign` has to be put back. */
  readonly restoringSince: Date | null;
  /**
   * The team's own template of rolling releases while ours is in its place (`config` null where there was none), and
   * its skew protection, which a template switches on.
   */
  readonly rolling: {
    readonly config: unknown;
    readonly atMs: number;
    readonly skewMaxAgeS: number;
  } | null;
  /** The check that we registered. */
  readonly checkId: string | null;
};

/** What has to survive a crash between two requests to Vercel. */
export type VercelMemory = {
  /** Notes that a build is about to be asked for. True: it was before, so that it may be there already. */
  ask(key: string, now: Date): Promise<boolean>;
  /** The platform said no: nothing was made for this key. */
  refused(key: string): Promise<void>;
  read(targetProjectId: string): Promise<ProjectMemory>;
  write(targetProjectId: string, change: Partial<ProjectMemory>): Promise<void>;
};

export const NOTHING_REMEMBERED: ProjectMemory = {
  autoAssign: null,
  restoringSince: null,
  rolling: null,
  checkId: null,
};

/** Lives as long as the process: for tests, and where there is no database. */
export function forgetfulMemory(): VercelMemory {
  const asked = new Set<string>();
  const projects = new Map<string, ProjectMemory>();
  const read = (id: string) => projects.get(id) ?? NOTHING_REMEMBERED;
  return {
    async ask(key) {
      const before = asked.has(key);
      asked.add(key);
      return before;
    },
    refused: async (key) => void asked.delete(key),
    read: async (id) => read(id),
    write: async (id, change) => void projects.set(id, { ...read(id), ...change }),
  };
}

export type VercelMemoryTables = {
  vercel_builds: { key: string; asked_at: Date };
  vercel_projects: {
    target_project_id: string;
    auto_assign: boolean | null;
    restoring_since: Date | null;
    rolling: unknown;
    check_id: string | null;
  };
};

/** Longer than any deployment takes that could ask again. */
const KEPT_MS = 32 * 86_400_000;

/** In our own database. */
export function postgresMemory(db: Database<VercelMemoryTables>): VercelMemory {
  return {
    async ask(key, now) {
      const made = await db
        .insertInto("vercel_builds")
        .values({ key, asked_at: now })
        .onConflict((conflict) => conflict.column("key").doNothing())
        .returning("key")
        .executeTakeFirst();
      if (!made) return true;
      const old = new Date(now.getTime() - KEPT_MS);
      await db.deleteFrom("vercel_builds").where("asked_at", "<", old).execute();
      return false;
    },
    async refused(key) {
      await db.deleteFrom("vercel_builds").where("key", "=", key).execute();
    },
    async read(targetProjectId) {
      const row = await db
        .selectFrom("vercel_projects")
        .selectAll()
        .where("target_project_id", "=", targetProjectId)
        .executeTakeFirst();
      if (!row) return NOTHING_REMEMBERED;
      return {
        autoAssign: row.auto_assign,
        restoringSince: row.restoring_since,
        rolling: row.rolling as ProjectMemory["rolling"],
        checkId: row.check_id,
      };
    },
    async write(targetProjectId, change) {
      const columns = columnsOf(change);
      await db
        .insertInto("vercel_projects")
        .values({ ...EMPTY_ROW, ...columns, target_project_id: targetProjectId })
        .onConflict((conflict) => conflict.column("target_project_id").doUpdateSet(columns))
        .execute();
    },
  };
}

const EMPTY_ROW = { auto_assign: null, restoring_since: null, rolling: null, check_id: null };

function columnsOf(change: Partial<ProjectMemory>): Partial<VercelMemoryTables["vercel_projects"]> {
  const { autoAssign, restoringSince, rolling, checkId } = change;
  return {
    ...(autoAssign === undefined ? {} : { auto_assign: autoAssign }),
    ...(restoringSince === undefined ? {} : { restoring_since: restoringSince }),
    ...(rolling === undefined ? {} : { rolling: rolling === null ? null : JSON.stringify(rolling) }),
    ...(checkId === undefined ? {} : { check_id: checkId }),
  };
}
