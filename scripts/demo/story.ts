import pc from "picocolors";

export type Rows = readonly (readonly [string, string])[];

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
  /** Figures, right-aligned under each other. */
  table(rows: Rows): void;
  /** Names and what they stand for, left-aligned. */
  list(rows: Rows): void;
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
    list: (rows) => {
      const left = widest(rows.map(([name]) => name));
      for (const [name, value] of rows) line(`   ${name.padEnd(left)}   ${cyan(value)}`);
    },
  };
}

/** Two columns, the second one right-aligned. */
export function tableLines(rows: Rows): string[] {
  const left = widest(rows.map(([name]) => name));
  const right = widest(rows.map(([, value]) => value));
  return rows.map(([name, value]) => `${name.padEnd(left)}  ${value.padStart(right)}`);
}

const widest = (texts: readonly string[]): number => Math.max(...texts.map((text) => text.length));

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
