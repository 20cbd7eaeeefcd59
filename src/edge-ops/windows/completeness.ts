/**
 * How many readings of a key are in windows that nothing changes any more: what completeness markers
 * say. Kept beside the windows of a pipeline, told now and then:
 *
 *   windows     | a | b | c | d | e |             through   the windows that end by it are final
 *                         ^ through               readings  in the latest revisions of those: a + b + c
 *   counted       a + b + c + d + e  (emitted)    later     d + e, which may be corrected still
 *
 * `counted` moves with every summary, by what its revision added or took back. A marker leaves when
 * `through` has come into another interval of limits.markerIntervalMs, after everything it speaks of,
 * and once more when the pipeline ends. So it follows from the log alone.
 *
 * State of a weir that did not count begins where its live windows do: `from`.
 */

import { millis } from "../../core/units.ts";
import type { Emitter } from "../operator.ts";
import type { OperatorOptions } from "../operator-options.ts";
import { StateTable } from "../state-table.ts";
import type { WindowKeys } from "./window-keys.ts";

const NOT_COUNTED = 0;
/** Since the key's first window. */
const WHOLE = 1;
/** Windows that end after `from`. */
const PARTIAL = 2;

export class Completeness {
  readonly table: StateTable;
  readonly #options: Pick<OperatorOptions<unknown>, "pipeline" | "keys" | "markerMs">;
  /** By key. */
  readonly #state: Uint8Array;
  readonly #from: Float64Array;
  readonly #counted: Float64Array;
  /** Of the last marker; before the first, where the key began. */
  readonly #through: Float64Array;

  constructor(options: OperatorOptions<unknown>) {
    const { pipeline, capacity } = options;
    const { keysMax } = capacity;
    this.#options = options;
    this.#state = new Uint8Array(keysMax);
    this.#from = new Float64Array(keysMax);
    this.#counted = new Float64Array(keysMax);
    this.#through = new Float64Array(keysMax);
    this.table = new StateTable({
      name: `${pipeline}/complete`,
      version: 1,
      rowsMax: keysMax,
      rowsPerChunk: 256,
      columns: [
        { cells: this.#state, stride: 1 },
        { cells: this.#from, stride: 1 },
        { cells: this.#counted, stride: 1 },
        { cells: this.#through, stride: 1 },
      ],
    });
  }

  isCounted(key: number): boolean {
    return this.#state[key] !== NOT_COUNTED;
  }

  /** The key's first reading, at `time`. */
  begin(key: number, time: number): void {
    this.#state[key] = WHOLE;
    this.#through[key] = time;
    this.table.touch(key);
  }

  /** A key that had windows before they were counted: `counted` in those that end after `from`. */
  beginLate(
    key: number,
    { from, counted }: { readonly from: number; readonly counted: number },
  ): void {
    this.#state[key] = PARTIAL;
    this.#from[key] = from;
    this.#counted[key] = counted;
    this.#through[key] = from;
    this.table.touch(key);
  }

  /** A revision has so many readings more, or fewer, than the one before it. */
  add(key: number, readings: number): void {
    this.#counted[key]! += readings;
    this.table.touch(key);
  }

  /** Whether a marker is to leave when the windows that end by `through` are final. */
  isDue(key: number, through: number): boolean {
    const { markerMs } = this.#options;
    if (this.#state[key] === NOT_COUNTED) return false;
    return Math.floor(through / markerMs) > Math.floor(this.#through[key]! / markerMs);
  }

  /** `later`: readings that are counted of windows which end after `through`. */
  tell(
    key: number,
    { through, later }: { readonly through: number; readonly later: number },
    emitter: Emitter,
  ): void {
    if (this.#state[key] === NOT_COUNTED || through <= this.#through[key]!) return;
    this.#through[key] = through;
    this.table.touch(key);
    emitter.complete({
      kind: "complete",
      pipeline: this.#options.pipeline,
      key: this.#options.keys.tagsOf(key),
      ...(this.#state[key] === PARTIAL ? { from: millis(this.#from[key]! + 0) } : {}),
      // Adding 0 makes -0 plain 0.
      through: millis(through + 0),
      readings: this.#counted[key]! - later,
    });
  }

  /** The pipeline has ended: all windows of its keys were emitted, and none comes any more. */
  drain(
    { started, closedThrough }: Pick<WindowKeys, "started" | "closedThrough">,
    { bucketMs, emitter }: { readonly bucketMs: number; readonly emitter: Emitter },
  ): void {
    for (let key = 0; key < this.#options.keys.keyCount; key++) {
      const through = closedThrough[key]! * bucketMs;
      if (started[key] === 1) this.tell(key, { through, later: 0 }, emitter);
    }
  }
}
