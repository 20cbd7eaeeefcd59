/**
 * The cursor: what every transaction says about itself, so that the cluster knows how far a lane is
 * even where our own disk has forgotten it. One record in the compacted cursor topic, key
 * `<agent>/<lane>`, and the same bytes as the metadata of a group offset; both are in the transaction
 * whose records they count. Documented in docs/format/kafka.md.
 *
 *   {"v":1,"agent":"gw1","lane":"summaries","outbox":"3f..","seq":500,"digest":"9a..",
 *    "boots":[["7c..",0],["e1..",312]],"before":[["b0..",77,"55.."]],"weir":"0.1.0","life":1}
 *
 * An outbox is one history of a lane: its id is random, its records have the numbers 0, 1, 2, ...
 * without gaps (seq), and its digest is a chain over all their values, so that two histories with the
 * same numbers are told apart. Boots are the processes that wrote to it, the newest last. What other
 * outboxes had written under the same name is kept in `before`: who comes back finds itself there. `life`
 * counts how often the name was given to other hardware (weir restore --from-kafka); absent: never.
 */

import { hash } from "node:crypto";
import { assert } from "../../core/assert.ts";
import { Fault } from "../../core/faults.ts";
import { type Lane, laneNamed } from "../../store/outbox/lane.ts";
import {
  damaged,
  decodeJson,
  encodeJson,
  itemsOf,
  listOf,
  type StoredObject,
  textOf,
  wholeOf,
} from "../../store/state/stored-json.ts";

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

export type Cursor = CursorOf<Lane>;

/** A cursor as read by whoever does not write: of any lane that there may be. */
export type CursorOf<Name extends string> = {
  readonly agent: string;
  readonly lane: Name;
  readonly mark: Mark;
  /** The newest last; its process wrote the cursor. At most bootsMax. */
  readonly boots: readonly Boot[];
  /** The newest first, at most marksMax. */
  readonly before: readonly Mark[];
  /** Version of the weir that wrote it. */
  readonly version: string;
  /** How often the name was given to other hardware. */
  readonly life?: number | undefined;
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

export function cursorKey(agent: string, lane: string): Uint8Array {
  return new TextEncoder().encode(`${agent}/${lane}`);
}

export function encodeCursor(cursor: Cursor): Uint8Array {
  const { agent, lane, mark, boots, before, version, life } = cursor;
  const bytes = encodeJson({
    v: 1,
    agent,
    lane,
    ...mark,
    boots: boots.map(({ id, seq }) => [id, seq]),
    before: before.map(({ outbox, seq, digest }) => [outbox, seq, digest]),
    weir: version,
    life,
  });
  assert(bytes.length <= cursorBytesMax, "a cursor fits into the metadata of an offset");
  return bytes;
}

/** Faults: FORMAT_TOO_NEW; STORE_FAILED where it is no cursor. `place` says where it was read. */
export function decodeCursor(bytes: Uint8Array, place: string): Cursor {
  const cursor = decodeAnyCursor(bytes, place);
  const lane = laneNamed(cursor.lane);
  if (lane === undefined) throw damaged(place, `its lane is ${cursor.lane}`);
  return { ...cursor, lane };
}

/** As decodeCursor, whatever the name of the lane. */
export function decodeAnyCursor(bytes: Uint8Array, place: string): CursorOf<string> {
  const stored = decodeJson(bytes, place);
  const version = wholeOf(stored, "v");
  if (version !== 1) {
    throw new Fault(
      "FORMAT_TOO_NEW",
      `${place} has version ${version}, this weir knows 1: a newer weir has used this name; start that one again`,
      { facts: { version } },
    );
  }
  const boots = listOf(stored, "boots");
  const before = listOf(stored, "before");
  if (boots.length > bootsMax || before.length > marksMax) throw damaged(place, "it is too long");
  return {
    agent: textOf(stored, "agent"),
    lane: textOf(stored, "lane"),
    mark: markIn(stored),
    boots: boots.map((item) => bootOf(item, place)),
    before: before.map((item) => markOf(item, place)),
    version: textOf(stored, "weir"),
    ...lifeOf(stored),
  };
}

/** Absent where it is not there: the name was never given away. */
export function lifeOf(stored: StoredObject): { readonly life?: number } {
  return "life" in stored.fields ? { life: wholeOf(stored, "life") } : {};
}

/** [id, seq] */
export function bootOf(item: unknown, place: string): Boot {
  const [id, seq] = itemsOf(item, place);
  const stored = { place, fields: { id, seq } };
  return { id: hexOf(stored, "id", 16), seq: wholeOf(stored, "seq") };
}

/** [outbox, seq, digest] */
export function markOf(item: unknown, place: string): Mark {
  const [outbox, seq, digest] = itemsOf(item, place);
  return markIn({ place, fields: { outbox, seq, digest } });
}

function markIn(stored: StoredObject): Mark {
  return {
    outbox: hexOf(stored, "outbox", 32),
    seq: wholeOf(stored, "seq"),
    digest: hexOf(stored, "digest", 32),
  };
}

/** Whoever may write to the cursor topic may write anything: an id is not believed by its name. */
function hexOf(stored: StoredObject, name: string, digits: number): string {
  const text = textOf(stored, name);
  if (text.length !== digits || !/^[0-9a-f]+$/.test(text)) {
    throw damaged(stored.place, `${name} is not ${digits} hex digits`);
  }
  return text;
}
