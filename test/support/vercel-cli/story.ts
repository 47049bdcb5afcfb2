import type { CliStand, Ran, RunOptions } from "./cli.ts";

/**
 * One command (with the flags that matter) and what shows that it works: its exit code, what it prints, and what the
 * dock or a visitor sees of it afterwards.
 */
export type Case = {
  readonly command: string;
  /** True for what must pass; the rest is tried, and the table tells how it went. */
  readonly required: boolean;
  /** What does not work although the check passes. */
  readonly partly?: string;
  /** Why it does not work, where an unknown resource does not tell. */
  readonly note?: string;
  readonly check: (scene: Scene) => Promise<void>;
};

/** Cases that build on each other, in a project and a directory of their own. Stories run side by side. */
export type Story = { readonly name: string; readonly cases: readonly Case[] };

export type Scene = {
  readonly stand: CliStand;
  /** The story's directory. */
  readonly cwd: string;
  /** What the case before handed on. */
  readonly kept: Map<string, string>;
  /** In the story's directory. Notes what it asked for. */
  run(args: string, options?: RunOptions): Promise<Ran>;
  noteRan(ran: Ran): void;
};

export function must(command: string, check: Case["check"], more: { partly?: string } = {}): Case {
  return { command, required: true, check, ...more };
}

export function may(
  command: string,
  check: Case["check"],
  more: { partly?: string; note?: string } = {},
): Case {
  return { command, required: false, check, ...more };
}

export type Result = {
  readonly command: string;
  readonly status: "passes" | "partly" | "not supported";
  readonly note: string;
};

/** Runs a case. Why it failed is told too: a required one must not. */
export async function tryCase(
  one: Case,
  scene: Omit<Scene, "run" | "noteRan">,
): Promise<{ result: Result; unknown: readonly string[]; failure: unknown }> {
  const { command } = one;
  const unknown = new Set<string>();
  let complaint = "";
  const noteRan = (ran: Ran) => {
    for (const asked of ran.unknown) unknown.add(asked);
    complaint = complaintOf(ran);
  };
  const run = async (args: string, options: RunOptions = {}) => {
    const ran = await scene.stand.vercel(split(args), { cwd: scene.cwd, ...options });
    noteRan(ran);
    return ran;
  };
  try {
    await one.check({ ...scene, run, noteRan });
    const status = one.partly === undefined ? "passes" : "partly";
    return { result: { command, status, note: one.partly ?? "" }, unknown: [...unknown], failure: null };
  } catch (failure) {
    const missing = [...unknown].map((asked) => `no \`${resourceOf(asked)}\``);
    const note = one.note ?? (missing.join(", ") || complaint);
    return { result: { command, status: "not supported", note }, unknown: [...unknown], failure };
  }
}

/** Words, and text in double quotes as one. */
function split(args: string): string[] {
  return [...args.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "");
}

/** What the CLI said last, as one line of a table. */
function complaintOf({ stderr }: Ran): string {
  const said = /^Error: (.*)$/m.exec(stderr)?.[1] ?? "";
  return said.replace(/\|/g, "\\|").slice(0, 120);
}

/** Without what differs from run to run. */
function resourceOf(asked: string): string {
  return asked.replace(/prj_\w+/g, ":project").replace(/dpl_\w+/g, ":deployment");
}

/** The table of the documentation, in the order of the stories. */
export function table(results: readonly Result[]): string {
  const rows = results.map(({ command, status, note }) => `| \`${command}\` | ${status} | ${note} |`);
  return ["| Command | Result | |", "|---|---|---|", ...rows].join("\n");
}
