/**
 * The bytes on the wire, as README.md of this package documents them.
 *
 *   flat JSON   {"ts":1764000000000,"seq":12,"temperature":4.25,"door":false,"mode":"auto"}
 *   flat CBOR   the same as a map of definite length; ts as a 64-bit unsigned integer (0x1b)
 *   batch       a JSON array of flat objects, oldest first
 *   bare        4.25
 *   point       {"value":4.25,"ts":1764000000000}
 */
import { Encoder } from "cbor-x";
import type { Value } from "./machines/machine.ts";

/** One object of a multi-metric device. `ts` and `seq` are absent on a device without a clock. */
export type Flat = {
  readonly ts: number | undefined;
  readonly seq: number | undefined;
  readonly fields: readonly (readonly [name: string, value: Value])[];
};

const cbor = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });

export function encodeJson(flat: Flat): Buffer {
  return Buffer.from(JSON.stringify(plainOf(flat)));
}

export function encodeBatch(flats: readonly Flat[]): Buffer {
  return Buffer.from(JSON.stringify(flats.map(plainOf)));
}

export function encodeCbor(flat: Flat): Buffer {
  const plain = plainOf(flat);
  const timed = flat.ts === undefined ? plain : { ...plain, ts: BigInt(flat.ts) };
  return Buffer.from(cbor.encode(timed));
}

export function encodeBare(value: Value): Buffer {
  return Buffer.from(String(value));
}

export function encodePoint(value: Value, ts: number): Buffer {
  return Buffer.from(JSON.stringify({ value, ts }));
}

function plainOf(flat: Flat): Record<string, Value> {
  const plain: Record<string, Value> = {};
  if (flat.ts !== undefined) plain["ts"] = flat.ts;
  if (flat.seq !== undefined) plain["seq"] = flat.seq;
  for (const [name, value] of flat.fields) plain[name] = value;
  return plain;
}
