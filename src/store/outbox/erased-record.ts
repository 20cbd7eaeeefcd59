/**
 * What is left of a record that was erased before it was sent: what numbers, revisions and the sums of
 * counts upstream need to stay whole, and nothing that was measured.
 *
 *   summary   as before, without its fields
 *   alert     value, score, expected and limit are NaN; the text of a symbol is empty. The last part of
 *             its id was the value: now it is erased+<its number in the lane>
 *   raw       without times and values; how many there were
 *
 * A symbol's "+" is encoded in an id, so no alert has such an id that was not erased, and no two do.
 */

import type { Alert, Raw, Summary } from "../../core/record.ts";
import { encodeRaw } from "./raw-codec.ts";
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
  }: { readonly number: number; readonly tells: (record: Summary | Alert | Raw) => boolean },
): Uint8Array | undefined {
  const { agent, record } = decodeRecord(bytes, "a record of the outbox");
  // A gap names no key, a completeness marker nothing that was measured.
  if (record.kind === "gap" || record.kind === "complete" || record.kind === "manifest")
    return undefined;
  if (!tells(record)) return undefined;
  if (record.kind === "raw") return withoutReadings(agent, record);
  const erased =
    record.kind === "summary"
      ? encodeSummary(agent, { ...record, fields: {}, arrivalTimed: 0 })
      : encodeAlert(agent, withoutValues(record), `erased+${number}`);
  return Buffer.compare(erased, bytes) === 0 ? undefined : erased;
}

/** Undefined where that is done already. */
function withoutReadings(agent: string, raw: Raw): Uint8Array | undefined {
  if (raw.erased !== undefined) return undefined;
  const none = { times: [], values: [], arrivalTimed: [], erased: raw.times.length };
  return encodeRaw(agent, { ...raw, ...none });
}

function withoutValues(alert: Alert): Alert {
  const value = typeof alert.value === "number" ? Number.NaN : "";
  return { ...alert, value, score: Number.NaN, expected: Number.NaN, limit: Number.NaN };
}
