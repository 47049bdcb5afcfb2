import type { Paint } from "./paint.ts";
import { widthOf } from "./width.ts";

/** Columns two spaces apart, as wide as their widest cell, without trailing blanks. Cells may carry colours. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  paint: Paint,
): string[] {
  const widths = header.map((title, column) =>
    Math.max(widthOf(title), ...rows.map((row) => widthOf(row[column] ?? ""))),
  );
  const format = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - widthOf(cell))))
      .join("  ")
      .trimEnd();
  return [paint.dim(format(header)), ...rows.map(format)];
}
