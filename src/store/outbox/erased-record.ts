/**
 * What is left of a record that was erased before it was sent: what numbers, revisions and the sums of
 * counts upstream need to stay whole, and nothing that was measured.
 *
 *   summary   as before, without its fields
 *   alert     value, score, expected and limit are NaN; the text of a symbol is empty. The last part of
 *             its id was the value: now it is erased+<its number in the lane>
 *
 * A symbol's "+" is encoded in an id, so no alert has such an id that was not erased, and no two do.
 */

import type { Alert, Summary } from "../../core/record.ts";
import { decodeRecord, encodeAlert, encodeSummary } from "./record-codec.ts";

/**
 * The record that takes the place of one that `tells` chooses, of this number in its lane; undefined
 * for others, and for what is erased already. Faults: STORE_FAILED where the bytes are no record.
 */
export function erasedRecord(
  bytes: Uint8Array,
  {
    number,
    tells,
  }: { readonly number: number; readonly tells: (record: Summary | Alert) => boolean },
): Uint8Array | undefined {
  const { agent, record } = decodeRecord(bytes, "a record of the outbox");
  // A gap names no key, a completeness marker nothing that was measured.
  if (record.kind === "gap" || record.kind === "complete" || !tells(record)) return undefined;
  const erased =
    record.kind === "summary"
      ? encodeSummary(agent, { ...record, fields: {}, arrivalTimed: 0 })
      : encodeAlert(agent, withoutValues(record), `erased+${number}`);
  return Buffer.compare(erased, bytes) === 0 ? undefined : erased;
}

function withoutValues(alert: Alert): Alert {
  const value = typeof alert.value === "number" ? Number.NaN : "";
  return { ...alert, value, score: Number.NaN, expected: Number.NaN, limit: Number.NaN };
}
