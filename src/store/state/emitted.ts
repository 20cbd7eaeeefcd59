/**
 * How far outputs are durable, with the ledger of that commit. Every commit writes both, so where one
 * of them is found without the other, or neither beside a checkpoint, a key was damaged: an agent that
 * took it for never written would emit everything in the log again.
 */

import type { Kv } from "../../core/doors.ts";
import { type Millis, millis, type Position, position } from "../../core/units.ts";
import { checkpointKey, emittedKey, ledgerKey } from "./kv-key.ts";
import { damaged, decodeJson, wholeOf } from "./stored-json.ts";

export type Emitted = {
  readonly through: Position;
  readonly ledger: Uint8Array;
  readonly clock?: Millis;
};

/** Of the last commit; undefined before the first. Faults: STORE_FAILED. */
export function readEmitted(kv: Kv): Emitted | undefined {
  const value = kv.get(emittedKey);
  const ledger = kv.get(ledgerKey);
  if (value === undefined && ledger === undefined) {
    if (kv.get(checkpointKey) === undefined) return undefined;
    throw missing(emittedKey, "a checkpoint");
  }
  if (value === undefined) throw missing(emittedKey, "the ledger");
  if (ledger === undefined) throw missing(ledgerKey, "emitted");
  const stored = decodeJson(value, "the state store's emitted");
  const { clock } = stored.fields;
  return {
    through: position(wholeOf(stored, "through")),
    ledger,
    ...(typeof clock === "number" ? { clock: millis(clock) } : {}),
  };
}

function missing(key: string, beside: string): Error {
  return damaged(`the state store's ${key}`, `it is missing beside ${beside}`);
}
