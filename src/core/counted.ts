/** Counts in sentences. */

/** `1 message`, `12345 messages`. */
export function counted(count: number, noun: string): string {
  return `${count} ${numbered(count, noun)}`;
}

/** `1 message`, `12,345 messages`: where counts are large and a person compares them. */
export function countedInGroups(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${numbered(count, noun)}`;
}

function numbered(count: number, noun: string): string {
  return count === 1 ? noun : `${noun}s`;
}
