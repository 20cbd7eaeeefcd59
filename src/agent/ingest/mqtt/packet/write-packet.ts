/** Small writers for packets that are rare. */

import { variableBytes, writeVariable } from "./properties.ts";

/** A packet with this first byte and a body of these parts. */
export function packetOf(first: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const packet = Buffer.allocUnsafeSlow(1 + variableBytes(length) + length);
  packet[0] = first;
  let at = writeVariable(packet, 1, length);
  for (const part of parts) {
    packet.set(part, at);
    at += part.length;
  }
  return packet;
}

/** Bytes with their length before them. */
export function prefixed(bytes: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(2 + bytes.length);
  out.writeUInt16BE(bytes.length, 0);
  out.set(bytes, 2);
  return out;
}

/** Big-endian, of a number below 65,536. */
export function twoBytes(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
