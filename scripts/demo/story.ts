import pc from "picocolors";

export type Story = {
  title(text: string): void;
  /** A numbered part of the story. */
  act(text: string): void;
  say(text: string): void;
  /** A command as a user would type it. */
  command(text: string): void;
  /** A line that another program printed. */
  quote(text: string): void;
  good(text: string): void;
  bad(text: string): void;
  table(rows: readonly (readonly [string, string])[]): void;
};

/** Tells the story to `write`, in colours where a person reads it. */
export function createStory(write: (text: string) => void, colours: boolean): Story {
  const { bold, cyan, dim, green, red } = pc.createColors(colours);
  let acts = 0;
  const line = (text = "") => write(`${text}\n`);
  return {
    title: (text) => line(`\n${bold(text)}\n${dim("═".repeat(text.length))}`),
    act: (text) => {
      acts += 1;
      line(`\n${bold(`${acts}. ${text}`)}`);
    },
    say: (text) => line(`   ${text}`),
    command: (text) => line(`   ${cyan(`$ ${text}`)}`),
    quote: (text) => line(dim(`   │ ${text}`)),
    good: (text) => line(`   ${green("✓")} ${text}`),
    bad: (text) => line(`   ${red("✗")} ${text}`),
    table: (rows) => {
      line();
      for (const row of tableLines(rows)) line(`   ${row}`);
    },
  };
}

/** Two columns, the second one right-aligned. */
export function tableLines(rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.max(...rows.map(([name]) => name.length));
  const right = Math.max(...rows.map(([, value]) => value.length));
  return rows.map(([name, value]) => `${name.padEnd(left, " ")}  ${value.padStart(right)}`);
}

/**
 * Who answered, as one bar of `width` cells for each version: `v1.0.0 ███████████▏ 75  v2.0.0 ████ 25`. A version that
 * answered at all has at least one cell; one that did not has none.
 */
export function shareBars(
  counts: ReadonlyMap<string, number>,
  versions: readonly string[],
  width: number,
): string {
  const total = versions.reduce((sum, version) => sum + (counts.get(version) ?? 0), 0);
  return versions
    .map((version) => {
      const count = counts.get(version) ?? 0;
      const cells = count === 0 ? 0 : Math.max(1, Math.round((count / total) * width));
      return `v${version} ${"█".repeat(cells).padEnd(width, "░")} ${String(count).padStart(4)}`;
    })
    .join("   ");
}

/** `840 ms` under a second, `12.3 s` from there. */
export function duration(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

/** `12,345` */
export function count(value: number): string {
  return value.toLocaleString("en-US");
}
