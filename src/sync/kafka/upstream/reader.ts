/**
 * How a consumer reads what an agent sends, whatever the order of lanes: the rules of docs/delivery.md,
 * which has them in a few lines of JavaScript as well.
 *
 *   a window   agent, pipeline, key and start, as in the key of the topic: a correction may change the end
 *              of a session; the highest revision of it counts
 *   coarser    stands for windows that were never sent: one more window, which replaces none
 *   gap        readings that are nowhere else
 *
 * Memory: a number for each window, at most `windowsMax`; beyond, the oldest are forgotten, and a
 * repetition of them passes for new.
 */

import type { DecodedRecord } from "../../../store/outbox/record-codec.ts";

/** What a record is to whoever has read all those before. */
export type Standing =
  | "new"
  /** It stands for several windows of the pipeline that were never sent. */
  | "coarser"
  /** It takes the place of an older revision, or of none that was seen. */
  | "corrected"
  /** A correction without readings: the window is no more. */
  | "withdrawn"
  /** As new or older is known: it changes nothing. */
  | "known"
  | "alert"
  | "gap"
  /** What was read so far of its key is all there is, up to a time. */
  | "complete"
  /** Readings that were asked for, and the end of the answer. */
  | "raw"
  | "manifest";

export class UpstreamReader {
  readonly #windowsMax: number;
  readonly #revisions = new Map<string, number>();

  constructor({ windowsMax }: { readonly windowsMax: number }) {
    this.#windowsMax = windowsMax;
  }

  /** What the record is; those before it of its window were given, as far as they were read. */
  take({ id, record }: DecodedRecord): Standing {
    if (record.kind !== "summary") return record.kind;
    const { revision, count, merged } = record;
    const window = id.split("/", 4).join("/");
    const known = this.#revisions.get(window);
    if (known !== undefined && revision <= known) return "known";
    this.#revisions.delete(window);
    this.#revisions.set(window, revision);
    if (this.#revisions.size > this.#windowsMax) {
      const [oldest] = this.#revisions.keys();
      if (oldest !== undefined) this.#revisions.delete(oldest);
    }
    if (count === 0) return "withdrawn";
    if (revision > 0) return "corrected";
    return merged === undefined ? "new" : "coarser";
  }
}
