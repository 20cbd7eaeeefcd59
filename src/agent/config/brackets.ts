/**
 * Where a bracket or quote of a YAML text is not closed. The YAML library tells it far from there, as a
 * line that is not indented as it should be, or as the end of the text.
 *
 *   { a: [1, 2 }      the [ is not closed before the }
 *   - { a: 1          the { is not closed where its line's indentation comes again
 *   - { a: 2 }
 *
 * A guess by characters: to be asked only about a text that the library found to be wrong.
 */

export type Unclosed = {
  /** Where it was opened, as an index into the text. */
  readonly opened: number;
  /** Where it should have been closed by, as an index into the text. */
  readonly by: number;
};

const closers: Readonly<Record<string, string>> = { "[": "]", "{": "}" };

/** The first that is not closed; undefined where all are. O(length). */
export function unclosedIn(text: string): Unclosed | undefined {
  const open: number[] = [];
  let lineIndent = indentFrom(text, 0);
  /** That of the line in which the outermost one was opened. */
  let indent = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    const [outermost] = open;
    if (character === "\n") lineIndent = indentFrom(text, i + 1);
    if (character === "\n" && outermost !== undefined) {
      const next = /[^\n\r ]/g;
      next.lastIndex = i;
      const found = next.exec(text);
      if (found === null) return { opened: open.at(-1)!, by: text.length };
      const at = found.index;
      const isBack = at - text.lastIndexOf("\n", at) - 1 <= indent;
      if (isBack && !/[\]}#]/.test(text[at]!)) return { opened: open.at(-1)!, by: at };
      i = at - 1;
      continue;
    }
    if (character === "#" && isBlank(text[i - 1])) {
      const end = text.indexOf("\n", i);
      i = (end < 0 ? text.length : end) - 1;
    } else if ((character === '"' || character === "'") && beginsValue(text, i)) {
      const end = quoteEnd(text, i);
      if (end < 0) return { opened: i, by: text.length };
      i = end;
    } else if (closers[character] !== undefined && (open.length > 0 || beginsValue(text, i))) {
      if (open.length === 0) indent = lineIndent;
      open.push(i);
    } else if ((character === "]" || character === "}") && open.length > 0) {
      const opened = open.pop()!;
      if (closers[text[opened]!] !== character) return { opened, by: i };
    }
  }
  const opened = open.at(-1);
  return opened === undefined ? undefined : { opened, by: text.length };
}

/** What closes what was opened by this character: a bracket, or the quote itself. */
export function closerOf(character: string): string {
  return closers[character] ?? character;
}

/** Before it is nothing of a word: it begins one. */
function beginsValue(text: string, at: number): boolean {
  let before = at - 1;
  while (text[before] === " " || text[before] === "\t") before -= 1;
  const character = text[before] ?? "\n";
  return "\n[{,".includes(character) || (":?-".includes(character) && before < at - 1);
}

function isBlank(character: string | undefined): boolean {
  return character === undefined || /\s/.test(character);
}

function indentFrom(text: string, start: number): number {
  let end = start;
  while (text[end] === " ") end += 1;
  return end - start;
}

/** Of the quote that closes the one at `at`; negative where none does. */
function quoteEnd(text: string, at: number): number {
  const quote = text[at]!;
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === "\\" && quote === '"') i += 1;
    else if (text[i] === quote) {
      if (quote === '"' || text[i + 1] !== quote) return i;
      i += 1;
    }
  }
  return -1;
}
