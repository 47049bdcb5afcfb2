import { stripVTControlCharacters } from "node:util";

// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character begins every colour sequence.
const COLOUR = /^\u001b\[[0-9;]*m/;

/** Columns that a text takes, colours not counted. Wide characters count as one: names and ids hold none. */
export function widthOf(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

/** The beginning of `text` that fits into `width` columns; colours are kept and closed. */
export function cutToWidth(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let rest = text;
  let cut = "";
  let left = Math.max(0, width - 1);
  let coloured = false;
  while (rest !== "" && left > 0) {
    const colour = COLOUR.exec(rest)?.[0];
    const next = colour ?? String.fromCodePoint(rest.codePointAt(0) ?? 32);
    if (colour === undefined) left--;
    else coloured = true;
    cut += next;
    rest = rest.slice(next.length);
  }
  return `${cut}…${coloured ? "\u001b[0m" : ""}`;
}

/** Log text of strangers, made safe to show: no cursor movement, no title changes, no colours left open. */
export function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is being removed.
  return stripVTControlCharacters(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}
