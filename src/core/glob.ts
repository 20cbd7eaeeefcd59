/**
 * Globs as the configuration and queries have them: `*` is any run of characters, also none;
 * everything else is itself. The time is at most the product of both lengths, whatever they are:
 * patterns come from clients.
 */

export type Glob = (text: string) => boolean;

export function globOf(pattern: string): Glob {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return (text) => text === pattern;
  const lengthMin = first.length + last.length;
  return (text) => {
    if (text.length < lengthMin || !text.startsWith(first) || !text.endsWith(last)) return false;
    // The first place that fits leaves most to those that follow.
    let at = first.length;
    for (const part of rest) {
      const found = text.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return at + last.length <= text.length;
  };
}
