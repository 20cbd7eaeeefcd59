/**
 * What walks over a posted body: the messages in it, one after another, as places in its bytes. Nothing is
 * copied, and no object is made of any of them.
 */

/** One walk over a body. The places are those of the message that `next` came to last. */
export interface Messages {
  /** Where the topic is: mostly in the body, else in bytes of its own that the next `next` may change. */
  readonly topicBytes: Uint8Array;
  readonly topicStart: number;
  readonly topicEnd: number;
  readonly payloadStart: number;
  readonly payloadEnd: number;
  /** Where the message begins, for a person: "line 4", "byte 57". */
  readonly place: string;
  /** What is wrong with the body, with the place; then nothing more comes. */
  readonly fault: string | undefined;
  /** Whether there is another message. */
  next(): boolean;
}

const LINE_FEED = 0x0a;

/** Where the line ends that begins at `start`; its line feed is not of it. */
export function endOfLine(bytes: Uint8Array, start: number): number {
  const at = bytes.indexOf(LINE_FEED, start);
  return at === -1 ? bytes.length : at;
}

/** Nothing but spaces, tabs and the like. */
export function isBlank(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at]! > 0x20) return false;
  return true;
}

/** Whether that is what stands there. */
export function isText(
  bytes: Uint8Array,
  { start, end }: { readonly start: number; readonly end: number },
  text: Uint8Array,
): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text[i]) return false;
  return true;
}
