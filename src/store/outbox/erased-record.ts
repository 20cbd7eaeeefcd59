/**
 * What is left of a record that was erased before it was sent: its identity, so that numbers, revisions
 * and the sums of counts upstream stay whole, and nothing that was measured.
 *
 *   summary   as before, without its fields
 *   alert     value, score, expected and limit are NaN; the text of a symbol is empty
 */

import type { Alert, Summary } from "../../core/record.ts";
import { decodeRecord, encodeAlert, encodeSummary } from "./record-codec.ts";

/**
 * The record that takes the place of one that `tells` chooses; undefined for others, and for what is
 * erased already. Faults: STORE_FAILED where the bytes are no record.
 */
export function erasedRecord(
  bytes: Uint8Array,
  tells: (record: Summary | Alert) => boolean,
): Uint8Array | undefined {
  const { agent, record } = decodeRecord(bytes, "a record of the outbox");
  // A gap names no key.
  if (record.kind === "gap" || !tells(record)) return undefined;
  const erased =
    record.kind === "summary"
      ? encodeSummary(agent, { ...record, fields: {}, arrivalTimed: 0 })
      : encodeAlert(agent, {
          ...record,
          value: typeof record.value === "number" ? Number.NaN : "",
          score: Number.NaN,
          expected: Number.NaN,
          limit: Number.NaN,
        });
  return Buffer.compare(erased, bytes) === 0 ? undefined : erased;
}
