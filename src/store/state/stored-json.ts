/**
 * Small values of the state store as JSON: readable by any tool, parsed from bytes that may be
 * damaged. A field that is missing or of another kind is a fault that names its place.
 */

import { Fault } from "../../core/faults.ts";

/** `place` says where it was read, for the fault: the key, or a file and line. */
export type StoredObject = {
  readonly place: string;
  readonly fields: Readonly<Record<string, unknown>>;
};

export function encodeJson(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** Faults: STORE_FAILED where the bytes are not a JSON object. */
export function decodeJson(bytes: Uint8Array, place: string): StoredObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw damaged(place, "it is not valid JSON", cause);
  }
  return objectOf(value, place);
}

/** `value` as an object with fields. */
export function objectOf(value: unknown, place: string): StoredObject {
  if (typeof value !== "object" || value === null) throw damaged(place, "it is not an object");
  return { place, fields: Object.fromEntries(Object.entries(value)) };
}

/** A whole number from 0, below 2^53. */
export function wholeOf({ place, fields }: StoredObject, name: string): number {
  const value = fields[name];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw damaged(place, `${name} is not a whole number`);
}

/** A number, or "NaN", "Infinity", "-Infinity", which JSON has no numbers for. */
export function numberOf({ place, fields }: StoredObject, name: string): number {
  const value = fields[name];
  if (typeof value === "number") return value;
  if (value === "NaN" || value === "Infinity" || value === "-Infinity") return Number(value);
  throw damaged(place, `${name} is not a number`);
}

export function textOf({ place, fields }: StoredObject, name: string): string {
  const value = fields[name];
  if (typeof value === "string") return value;
  throw damaged(place, `${name} is not a string`);
}

/** Bytes that stand there in base64, a new buffer. */
export function bytesOf(stored: StoredObject, name: string): Uint8Array {
  const text = textOf(stored, name);
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") === text) return new Uint8Array(bytes);
  throw damaged(stored.place, `${name} is not base64`);
}

export function listOf({ place, fields }: StoredObject, name: string): readonly unknown[] {
  return itemsOf(fields[name], `${place}, ${name}`);
}

/** `value` as a list. */
export function itemsOf(value: unknown, place: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw damaged(place, "it is not a list");
}

export function damaged(place: string, reason: string, cause?: unknown): Fault {
  return new Fault(
    "STORE_FAILED",
    `${place} is damaged: ${reason}; restore the data directory from a backup, or start with a fresh one`,
    { cause, facts: { place } },
  );
}
