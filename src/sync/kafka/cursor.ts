/**
 * The cursor: what every transaction says about itself, so that the cluster knows how far a lane is
 * even where our own disk has forgotten it. One record in the compacted cursor topic, key
 * `<agent>/<lane>`, and the same bytes as the metadata of a group offset; both are in the transaction
 * whose records they count. Documented in docs/format/kafka.md.
 *
 *   {"v":1,"agent":"gw1","lane":"summaries","outbox":"3f..","seq":500,"digest":"9a..",
 *    "boots":[["7c..",0],["e1..",312]],"before":[["b0..",77,"55.."]],"weir":"0.1.0"}
 *
 * An outbox is one history of a lane: its id is random, its records have the numbers 0, 1, 2, ...
 * without gaps (seq), and its digest is a chain over all their values, so that two histories with the
 * same numbers are told apart. Boots are the processes that wrote to it, the newest last. What other
 * outboxes had written under the same name is kept in `before`: who comes back finds itself there.
 */

import { hash } from "node:crypto";
import { assert } from "../../core/assert.ts";
import { Fault } from "../../core/faults.ts";
import type { Lane } from "../../store/outbox.ts";
import {
  damaged,
  decodeJson,
  encodeJson,
  itemsOf,
  listOf,
  textOf,
  wholeOf,
} from "../../store/stored-json.ts";

/** How far an outbox is: all its records below `seq`, whose values have this digest. */
export type Mark = {
  /** 128 random bits in hex. */
  readonly outbox: string;
  readonly seq: number;
  /** 128 bits in hex; see digestAfter. */
  readonly digest: string;
};

/** A process that wrote to the outbox, and its first record there. */
export type Boot = {
  /** 64 random bits in hex. */
  readonly id: string;
  readonly seq: number;
};

export type Cursor = {
  readonly agent: string;
  readonly lane: Lane;
  readonly mark: Mark;
  /** The newest last; its process wrote the cursor. At most bootsMax. */
  readonly boots: readonly Boot[];
  /** The newest first, at most marksMax. */
  readonly before: readonly Mark[];
  /** Version of the weir that wrote it. */
  readonly version: string;
};

export const bootsMax = 8;
export const marksMax = 8;

/** Clusters keep at most 4,096 bytes with a group offset unless told otherwise. */
const cursorBytesMax = 4_000;

/** Of an outbox without records. */
export const emptyDigest: string = "0".repeat(32);

/** The chain after one more value: the first 128 bits of SHA-256(chain before, value). About 1 us. */
export function digestAfter(digest: string, value: Uint8Array): string {
  if (chained.length < 16 + value.length) chained = Buffer.alloc(16 + 2 * value.length);
  chained.write(digest, 0, "hex");
  chained.set(value, 16);
  return hash("sha256", chained.subarray(0, 16 + value.length), "hex").slice(0, 32);
}

let chained = Buffer.alloc(4_096);

/** `boots` with the process `id`, which goes on at `seq`. */
export function withBoot(boots: readonly Boot[], boot: Boot): readonly Boot[] {
  return boots.at(-1)?.id === boot.id ? boots : [...boots, boot].slice(-bootsMax);
}

export function cursorKey(agent: string, lane: Lane): Uint8Array {
  return new TextEncoder().encode(`${agent}/${lane}`);
}

export function encodeCursor(cursor: Cursor): Uint8Array {
  const { agent, lane, mark, boots, before, version } = cursor;
  const bytes = encodeJson({
    v: 1,
    agent,
    lane,
    ...mark,
    boots: boots.map(({ id, seq }) => [id, seq]),
    before: before.map(({ outbox, seq, digest }) => [outbox, seq, digest]),
    weir: version,
  });
  assert(bytes.length <= cursorBytesMax, "a cursor fits into the metadata of an offset");
  return bytes;
}

/** Faults: FORMAT_TOO_NEW; STORE_FAILED where it is no cursor. `place` says where it was read. */
export function decodeCursor(bytes: Uint8Array, place: string): Cursor {
  const stored = decodeJson(bytes, place);
  const version = wholeOf(stored, "v");
  if (version !== 1) {
    throw new Fault(
      "FORMAT_TOO_NEW",
      `${place} has version ${version}, this weir knows 1: a newer weir has used this name; start that one again`,
      { facts: { version } },
    );
  }
  const lane = textOf(stored, "lane");
  if (lane !== "alerts" && lane !== "summaries") throw damaged(place, `its lane is ${lane}`);
  return {
    agent: textOf(stored, "agent"),
    lane,
    mark: {
      outbox: textOf(stored, "outbox"),
      seq: wholeOf(stored, "seq"),
      digest: textOf(stored, "digest"),
    },
    boots: listOf(stored, "boots").map((item) => bootOf(item, place)),
    before: listOf(stored, "before").map((item) => markOf(item, place)),
    version: textOf(stored, "weir"),
  };
}

/** [id, seq] */
export function bootOf(item: unknown, place: string): Boot {
  const [id, seq] = itemsOf(item, place);
  const stored = { place, fields: { id, seq } };
  return { id: textOf(stored, "id"), seq: wholeOf(stored, "seq") };
}

/** [outbox, seq, digest] */
export function markOf(item: unknown, place: string): Mark {
  const [outbox, seq, digest] = itemsOf(item, place);
  const stored = { place, fields: { outbox, seq, digest } };
  return {
    outbox: textOf(stored, "outbox"),
    seq: wholeOf(stored, "seq"),
    digest: textOf(stored, "digest"),
  };
}
