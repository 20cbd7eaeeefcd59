/**
 * Where our own records would take a mark: the outbox read again from what is decided on, by the rule
 * by which transactions are made of it. Tells a restored copy, whose records are those of the cluster,
 * from one whose records differ.
 *
 * A record that the topic once refused although it was alone is not known here as left out: a copy
 * that holds one takes itself for different, which repeats records under a new outbox and says so.
 */

import { limits } from "../../core/limits.ts";
import type { Lane } from "../../store/outbox/lane.ts";
import type { LaneRead } from "../../store/outbox/lane-reading.ts";
import { digestAfter, type Mark } from "./cursor.ts";
import type { LaneState } from "./lane-state.ts";
import { fit, type FitOptions } from "./transaction.ts";

export type OwnRecords = Omit<FitOptions, "refused"> & {
  readonly lane: Lane;
  readonly state: Pick<LaneState, "mark" | "number" | "forkedFrom">;
  /** Reads what the lane has. */
  readonly read: (options: { readonly from: number; readonly bytesMax: number }) => LaneRead;
};

/** The mark at `seq` and the number of the next record; undefined where there are not so many. */
export function ownMarkAt(
  seq: number,
  { lane, state, read, encode, messageBytesMax }: OwnRecords,
): { readonly mark: Mark; readonly number: number } | undefined {
  let { mark, number } = state;
  while (mark.seq < seq) {
    const part = read({ from: number, bytesMax: limits.uplinkBatchBytesMax });
    if (part.records.length === 0 || part.from !== part.position) return undefined;
    number = part.first;
    for (const record of part.records) {
      if (mark.seq === seq) break;
      const { outbox, digest } = mark;
      const place = { outbox, lane, seq: mark.seq };
      const found = fit(record, { place, number, encode, messageBytesMax, refused: undefined });
      number += 1;
      if (found.kind === "unfit") continue;
      mark = { outbox, seq: mark.seq + 1, digest: digestAfter(digest, found.message.value) };
    }
  }
  return { mark, number };
}
