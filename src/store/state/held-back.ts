/**
 * Windows that are upstream already, sent by hardware whose name this one has (weir restore --from-kafka).
 * The state here began from an older savepoint, so it would make poorer ones of them:
 *
 *   savepoint ────────── readings that are lost ─────────── end of the old one
 *   ... ][ window ][ window ][ window ]
 *                             sent ──▶│ floor of the key: what begins before it is held back
 *
 * Windows of a key close in order, so one floor for each key says all. Sliding windows overlap: those that
 * end by then begin earlier, and so their floor is lower by their size (sent-since.ts). Stored as JSON under heldBackKey:
 *
 *   {"v":1,"floors":{"<pipeline>/<key>":ms}}      parts percent-encoded, as in ids of records
 *
 * Keys beyond limits.heldBackKeysMax share the floor of their pipeline, "<pipeline>/*".
 */

import type { Kv, KvWrite } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { heldBackKey } from "./kv-key.ts";
import { decodeJson, encodeJson, numberOf, objectOf, wholeOf } from "./stored-json.ts";

export class HeldBack {
  /** By "<pipeline>/<key>". */
  #floors: Map<string, number>;

  constructor(floors: Iterable<readonly [string, number]> = []) {
    this.#floors = new Map(floors);
  }

  get size(): number {
    return this.#floors.size;
  }

  /** What the old hardware sent of the key goes up to `end`. */
  raise(name: string, end: number): void {
    const known = this.#floors.get(name) ?? Number.NEGATIVE_INFINITY;
    if (end > known) this.#floors.set(name, end);
    if (this.#floors.size > limits.heldBackKeysMax) this.#share();
  }

  /** Undefined where nothing of the key is held back. `name`: agent/pipeline/key, as in an id. */
  floorOf(name: string): number | undefined {
    if (this.#floors.size === 0) return undefined;
    const own = name.slice(name.indexOf("/") + 1);
    const [of, shared] = [this.#floors.get(own), this.#floors.get(sharedName(own))];
    return of === undefined || shared === undefined ? (of ?? shared) : Math.max(of, shared);
  }

  write(): KvWrite {
    return {
      key: heldBackKey,
      value: encodeJson({ v: 1, floors: Object.fromEntries(this.#floors) }),
    };
  }

  #share(): void {
    const floors = new Map<string, number>();
    for (const [name, end] of this.#floors) {
      const shared = sharedName(name);
      floors.set(shared, Math.max(end, floors.get(shared) ?? end));
    }
    this.#floors = floors;
  }
}

/** Faults: STORE_FAILED, FORMAT_TOO_NEW. */
export function readHeldBack(kv: Kv): HeldBack {
  const value = kv.get(heldBackKey);
  if (value === undefined) return new HeldBack();
  const place = `the state store's ${heldBackKey}`;
  const stored = decodeJson(value, place);
  const version = wholeOf(stored, "v");
  if (version !== 1) {
    throw new Fault(
      "FORMAT_TOO_NEW",
      `${place} has version ${version}, this weir knows 1; start the newer weir again`,
      { facts: { version } },
    );
  }
  const floors = objectOf(stored.fields["floors"], `${place}, floors`);
  return new HeldBack(
    Object.keys(floors.fields).map((name) => [name, numberOf(floors, name)] as const),
  );
}

function sharedName(name: string): string {
  return `${name.slice(0, name.indexOf("/"))}/*`;
}
