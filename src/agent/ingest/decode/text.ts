/**
 * Bytes to strings. UTF-8 is fatal: bytes that are not well formed are no text, so that a name or a
 * symbol is the same whoever decodes it.
 */

import { isAscii, isUtf8 } from "node:buffer";

/** The string of bytes that are known to be ASCII. */
export function latin1Of(bytes: Uint8Array, start: number, end: number): string {
  return bufferOf(bytes, start, end).toString("latin1");
}

/** The string of UTF-8 bytes, or undefined where they are not well formed. */
export function textOf(bytes: Uint8Array, start: number, end: number): string | undefined {
  const buffer = bufferOf(bytes, start, end);
  if (isAscii(buffer)) return buffer.toString("latin1");
  return isUtf8(buffer) ? buffer.toString("utf8") : undefined;
}

/** The first byte at which the bytes stop being UTF-8; `end` where they are all. */
export function offsetOfBadUtf8(bytes: Uint8Array, start: number, end: number): number {
  if (isUtf8(bufferOf(bytes, start, end))) return end;
  let sound = start;
  let unsure = end;
  // A cut inside a character is not UTF-8 either, so the longest sound prefix is found in three
  // bytes of the middle at most.
  while (sound < unsure) {
    const middle = sound + Math.ceil((unsure - sound) / 2);
    let cut = middle;
    while (cut > sound && middle - cut < 4 && !isUtf8(bufferOf(bytes, sound, cut))) cut--;
    if (cut > sound && isUtf8(bufferOf(bytes, sound, cut))) sound = cut;
    else unsure = middle - 1;
  }
  return sound;
}

function bufferOf(bytes: Uint8Array, start: number, end: number): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
}
