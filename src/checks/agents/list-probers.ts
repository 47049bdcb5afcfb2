import type { Database } from "../../foundation/db.ts";
import type { ProberReport } from "../tables.ts";
import type { AgentTables } from "./tables.ts";

/** A prober that was not heard of for so long is not there. */
const GONE_MS = 60_000;

export type ListedProber = {
  readonly id: string;
  readonly location: string;
  readonly kind: "inside" | "agent";
  readonly seenAt: Date | null;
  readonly isSeen: boolean;
  /** Null: it has said nothing of itself yet. */
  readonly report: ProberReport | null;
};

/** The probers that work now, and every agent with a token, whether it was ever seen or not. */
export async function listProbers(db: Database<AgentTables>, now: Date): Promise<ListedProber[]> {
  const since = new Date(now.getTime() - GONE_MS);
  const [inside, agents, reports] = await Promise.all([
    db.selectFrom("probers").selectAll().where("kind", "=", "inside").where("seen_at", ">", since).execute(),
    db.selectFrom("prober_agents").selectAll().where("revoked_at", "is", null).orderBy("location").execute(),
    db.selectFrom("probers").selectAll().where("kind", "=", "agent").execute(),
  ]);
  const reportOf = new Map(reports.map(({ id, report }) => [id, report]));
  return [
    ...inside.map(({ id, location, seen_at, report }) => {
      return { id, location, kind: "inside" as const, seenAt: seen_at, isSeen: true, report };
    }),
    ...agents.map(({ id, location, seen_at }) => {
      const isSeen = seen_at !== null && seen_at > since;
      return {
        id,
        location,
        kind: "agent" as const,
        seenAt: seen_at,
        isSeen,
        report: reportOf.get(id) ?? null,
      };
    }),
  ];
}
