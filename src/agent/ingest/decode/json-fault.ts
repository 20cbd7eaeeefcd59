/**
 * Where a text stops being JSON: the first byte that no JSON text could have there; for a number that is
 * none, its beginning. JSON.parse says so only in some of its messages. And where each value of it
 * begins, for what is refused of sound JSON. A stack of open brackets, no recursion; strings are taken
 * byte by byte, the UTF-8 of the text having been looked at before.
 */

import { DecimalScanner } from "./decimal.ts";
import type { Seen } from "./decoder.ts";
import { textOf } from "./text.ts";

/**
 * The byte at which `bytes[start, end)` stops being JSON; `end` where it ends too early, or is JSON.
 * `seen` is told of the values before it.
 */
export function offsetOfJsonFault(
  bytes: Uint8Array,
  start: number,
  end: number,
  seen: Seen = () => undefined,
): number {
  const open: number[] = [];
  /** Of each open bracket, which member of it this is. */
  const keys: (string | number)[] = [];
  const walk = new Walk(bytes, start, end);
  for (;;) {
    walk.space();
    seen(keys, walk.at);
    const bracket = walk.peek();
    if (bracket === 0x7b || bracket === 0x5b) {
      walk.step();
      walk.space();
      if (walk.peek() !== bracket + 2) {
        open.push(bracket);
        if (bracket === 0x7b && !walk.key()) return walk.at;
        keys.push(bracket === 0x7b ? walk.name : 0);
        continue;
      }
      walk.step();
    } else if (!walk.scalar()) return walk.at;

    // After a value: close what ends here, then either a comma or the end of the text.
    walk.space();
    while (open.length > 0 && walk.peek() === open.at(-1)! + 2) {
      open.pop();
      keys.pop();
      walk.step();
      walk.space();
    }
    if (open.length === 0 || walk.peek() !== 0x2c) return walk.at;
    walk.step();
    walk.space();
    const last = keys.at(-1);
    if (typeof last === "number") keys[keys.length - 1] = last + 1;
    else if (walk.key()) keys[keys.length - 1] = walk.name;
    else return walk.at;
  }
}

class Walk {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #decimal = new DecimalScanner();
  #at: number;
  #keyAt = 0;
  #keyEnd = 0;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get at(): number {
    return this.#at;
  }

  /** The byte here, or -1 at the end. */
  peek(): number {
    return this.#at < this.#end ? this.#bytes[this.#at]! : -1;
  }

  step(): void {
    this.#at++;
  }

  space(): void {
    while (
      this.peek() === 0x20 ||
      this.peek() === 0x0a ||
      this.peek() === 0x0d ||
      this.peek() === 0x09
    ) {
      this.#at++;
    }
  }

  /** What the key taken last says. */
  get name(): string {
    const text = textOf(this.#bytes, this.#keyAt, this.#keyEnd);
    return text === undefined ? "" : String(JSON.parse(text)).toWellFormed();
  }

  /** `"key" :` */
  key(): boolean {
    this.#keyAt = this.#at;
    if (this.peek() !== 0x22 || !this.#text()) return false;
    this.#keyEnd = this.#at;
    this.space();
    if (this.peek() !== 0x3a) return false;
    this.#at++;
    return true;
  }

  scalar(): boolean {
    const byte = this.peek();
    if (byte === 0x22) return this.#text();
    if (byte === 0x74) return this.#word("true");
    if (byte === 0x66) return this.#word("false");
    if (byte === 0x6e) return this.#word("null");
    const end = this.#decimal.scan(this.#bytes, this.#at, this.#end);
    if (end < 0) return false;
    this.#at = end;
    return true;
  }

  #text(): boolean {
    for (this.#at++; this.peek() >= 0x20 && this.peek() !== 0x22; this.#at++) {
      if (this.peek() === 0x5c && !this.#escape()) return false;
    }
    if (this.peek() !== 0x22) return false;
    this.#at++;
    return true;
  }

  /** From the backslash to the last byte of the escape. */
  #escape(): boolean {
    this.#at++;
    if (this.peek() !== 0x75) return this.peek() >= 0 && '"\\/bfnrt'.includes(char(this.peek()));
    for (let i = 0; i < 4; i++) {
      this.#at++;
      if (this.peek() < 0 || !/[0-9A-Fa-f]/.test(char(this.peek()))) return false;
    }
    return true;
  }

  #word(word: string): boolean {
    for (const letter of word) {
      if (this.peek() !== letter.charCodeAt(0)) return false;
      this.#at++;
    }
    return true;
  }
}

function char(byte: number): string {
  return String.fromCharCode(byte);
}
