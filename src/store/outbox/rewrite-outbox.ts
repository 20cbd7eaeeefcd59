/**
 * Records of the outbox that become others under the same numbers, where no agent runs: whoever sends
 * by these numbers goes on as if nothing had happened.
 */

import type { Kv } from "../../core/doors.ts";
import { numberOfKey, outboxKey } from "../state/kv-key.ts";
import type { Queue } from "./lane.ts";
import { rewriteWrites } from "./outbox.ts";
import { readSpan } from "./queue-span.ts";
import { decodeBlock, encodeBlock } from "./record-block.ts";

export type Rewritten = {
  readonly records: number;
  /** Blocks of which nobody knows what they hold: removed. */
  readonly damagedBlocks: number;
};

/**
 * Puts `change(record, its number)` in the place of every record it gives something for, a block in
 * each transaction. No state store is open on `kv` that goes on afterwards. Faults: those of `kv.commit`.
 */
export async function rewriteLane(kv: Kv, queue: Queue, change: Change): Promise<Rewritten> {
  let span = readSpan(kv, queue);
  let records = 0;
  let damagedBlocks = 0;
  const to = outboxKey(queue, Number.MAX_SAFE_INTEGER);
  for (let from = span.first; ; ) {
    const [entry] = kv.range({ from: outboxKey(queue, from), to, limit: 1 });
    if (entry === undefined) return { records, damagedBlocks };
    const { key, value: before } = entry;
    from = numberOfKey(key) + 1;
    const changed = changedBlock(before, { next: from, change });
    if (changed.kind === "same") continue;
    if (changed.kind === "damaged") damagedBlocks += 1;
    else records += changed.records;
    const after = changed.kind === "changed" ? changed.block : undefined;
    const rewritten = rewriteWrites(queue, span, { key, before, after });
    await kv.commit(rewritten.writes);
    span = rewritten.span;
  }
}

type Change = (record: Uint8Array, number: number) => Uint8Array | undefined;

type ChangedBlock =
  | { readonly kind: "same" }
  | { readonly kind: "changed"; readonly block: Uint8Array; readonly records: number }
  | { readonly kind: "damaged" };

function changedBlock(
  block: Uint8Array,
  { next, change }: { readonly next: number; readonly change: Change },
): ChangedBlock {
  const decoded = decodeBlock(block);
  if (decoded.kind === "damaged") return decoded;
  let records = 0;
  const first = next - decoded.records.length;
  const after = decoded.records.map((record, index) => {
    const other = change(record, first + index);
    if (other !== undefined) records += 1;
    return other ?? record;
  });
  if (records === 0) return { kind: "same" };
  return { kind: "changed", block: encodeBlock(after, decoded.skipped), records };
}
