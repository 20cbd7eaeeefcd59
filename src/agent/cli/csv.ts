/** One line of a CSV file (RFC 4180, quoted cells may hold the separator but no line break). */
export function csvRow(line: string, separator: string): readonly string[] {
  const cells: string[] = [];
  let at = 0;
  while (at <= line.length) {
    if (line[at] !== '"') {
      const end = line.indexOf(separator, at);
      cells.push(line.slice(at, end === -1 ? undefined : end));
      if (end === -1) break;
      at = end + separator.length;
      continue;
    }
    const { text, end } = quoted(line, at);
    cells.push(text);
    if (end >= line.length) break;
    at = end + separator.length;
  }
  return cells;
}

function quoted(line: string, start: number): { readonly text: string; readonly end: number } {
  let text = "";
  for (let at = start + 1; at < line.length; at++) {
    if (line[at] !== '"') text += line[at];
    else if (line[at + 1] === '"') {
      text += '"';
      at += 1;
    } else return { text, end: at + 1 };
  }
  return { text, end: line.length };
}
