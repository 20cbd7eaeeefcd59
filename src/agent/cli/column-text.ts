/**
 * Rows as columns of text, printed as they come: the widths are those of the first rows, so that a
 * table of any length needs no more memory than these. Numbers stand right, everything else left.
 */

const ROWS_FOR_WIDTHS = 200;

export class ColumnText {
  readonly #titles: readonly string[];
  readonly #print: (line: string) => void;
  #waiting: (readonly string[])[] = [];
  #widths: readonly number[] | undefined;

  constructor(titles: readonly string[], print: (line: string) => void) {
    this.#titles = titles;
    this.#print = print;
  }

  add(cells: readonly string[]): void {
    const row = cells.map(printable);
    if (this.#widths !== undefined) this.#print(lineOf(row, this.#widths));
    else if (this.#waiting.push(row) === ROWS_FOR_WIDTHS) this.flush();
  }

  /** Prints what waits for the widths, if anything. */
  flush(): void {
    if (this.#widths !== undefined || this.#waiting.length === 0) return;
    const rows = [this.#titles, ...this.#waiting];
    const widths = this.#titles.map((_, column) => {
      const isNumbers = this.#waiting.every((row) => isNumber(row[column] ?? ""));
      const width = Math.max(...rows.map((row) => row[column]?.length ?? 0));
      return isNumbers ? width : -width;
    });
    this.#widths = widths;
    this.#waiting = [];
    for (const row of rows) this.#print(lineOf(row, widths));
  }
}

/** Whoever sends, or writes to a data directory, may name things as they like; the terminal is ours. */
export function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, "\u{fffd}");
}

/** A width below 0 is that of a column that stands left. */
function lineOf(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, column) => {
      const width = widths[column] ?? 0;
      return width < 0 ? cell.padEnd(-width) : cell.padStart(width);
    })
    .join("  ")
    .trimEnd();
}

function isNumber(cell: string): boolean {
  return cell === "" || !Number.isNaN(Number(cell));
}
