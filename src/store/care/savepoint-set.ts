/**
 * A savepoint as a set of records for a compacted topic: chunks of its file, and a head that says which
 * chunks belong together. Two slots take turns, so a set that is not finished never takes the place of
 * the last whole one:
 *
 *   <agent>/a/0  <agent>/a/1  ...  <agent>/a     chunks first, the head last
 *   <agent>/b/0  <agent>/b/1  ...  <agent>/b     the set before, or the one under way
 *
 *   chunk   16 bytes of the set's id, then a piece of the file
 *   head    {"v":1,"set":"<hex>","number":7,"agent":"gw1","life":0,"made":ms,"position":n,"weir":"..",
 *            "chunks":n,"bytes":n,"digest":"<SHA-256>","topics":{"summaries":"..","alerts":"..","raw":"..",
 *            "cursor":".."},"since":{"weir.summaries":[offset, ...]}}
 *
 * Compaction keeps the newest record of each key. Where a chunk is of another set than its head says, the
 * slot was being written anew: the other one is whole. Pure.
 */

import { createHash, type Hash } from "node:crypto";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import {
  damaged,
  decodeJson,
  encodeJson,
  objectOf,
  textOf,
  wholeOf,
} from "../state/stored-json.ts";

export const slots = ["a", "b"] as const;
export type Slot = (typeof slots)[number];

export type SetHead = {
  /** 128 random bits in hex. */
  readonly set: string;
  /** Counts the sets of an agent; the next takes the other slot. */
  readonly number: number;
  readonly agent: string;
  /** How often the agent's name was given to other hardware. */
  readonly life: number;
  /** When the savepoint was made, milliseconds since 1970. */
  readonly made: number;
  /** Of the checkpoint. */
  readonly position: number;
  /** The version that made it. */
  readonly weir: string;
  readonly chunks: number;
  /** Of the file. */
  readonly bytes: number;
  /** SHA-256 of the file in hex. */
  readonly digest: string;
  readonly topics: SentTopics;
  /**
   * By topic of records the offset in each partition from which on everything lies that the savepoint does
   * not know to be sent; a topic that is not named is to be read from its beginning.
   */
  readonly since: Readonly<Record<string, readonly number[]>>;
};

/** Where the agent sent its records and cursors. */
export type SentTopics = {
  readonly summaries: string;
  readonly alerts: string;
  readonly raw: string;
  readonly cursor: string;
};

const setBytes = 16;

/** The piece of the file that a chunk holds, at most. */
export const pieceBytesMax: number = limits.savepointChunkBytes - setBytes;

export function slotOf(number: number): Slot {
  return number % 2 === 0 ? "a" : "b";
}

export function headKey(agent: string, slot: Slot): Uint8Array {
  return new TextEncoder().encode(`${encodeURIComponent(agent)}/${slot}`);
}

export function chunkKey(agent: string, slot: Slot, chunk: number): Uint8Array {
  return new TextEncoder().encode(`${encodeURIComponent(agent)}/${slot}/${chunk}`);
}

export function encodeHead(head: SetHead): Uint8Array {
  return encodeJson({ v: 1, ...head });
}

/** Faults: FORMAT_TOO_NEW; STORE_FAILED where it is no head. `place` says where it was read. */
export function decodeHead(bytes: Uint8Array, place: string): SetHead {
  const stored = decodeJson(bytes, place);
  const version = wholeOf(stored, "v");
  if (version !== 1) {
    throw new Fault(
      "FORMAT_TOO_NEW",
      `${place} has version ${version}, this weir knows 1; restore it with the newer weir`,
      { facts: { version } },
    );
  }
  const topics = objectOf(stored.fields["topics"], `${place}, topics`);
  const since = objectOf(stored.fields["since"], `${place}, since`);
  const offsets = (topic: string): readonly number[] => {
    const list = since.fields[topic];
    if (!Array.isArray(list)) throw damaged(place, `since has no list for ${topic}`);
    return list.map((offset: unknown) => wholeOf({ place, fields: { offset } }, "offset"));
  };
  return {
    set: textOf(stored, "set"),
    number: wholeOf(stored, "number"),
    agent: textOf(stored, "agent"),
    life: wholeOf(stored, "life"),
    made: wholeOf(stored, "made"),
    position: wholeOf(stored, "position"),
    weir: textOf(stored, "weir"),
    chunks: wholeOf(stored, "chunks"),
    bytes: wholeOf(stored, "bytes"),
    digest: textOf(stored, "digest"),
    topics: {
      summaries: textOf(topics, "summaries"),
      alerts: textOf(topics, "alerts"),
      raw: textOf(topics, "raw"),
      cursor: textOf(topics, "cursor"),
    },
    since: Object.fromEntries(Object.keys(since.fields).map((topic) => [topic, offsets(topic)])),
  };
}

/** `piece` is copied. */
export function encodeChunk(set: string, piece: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(setBytes + piece.length);
  bytes.set(Buffer.from(set, "hex"));
  bytes.set(piece, setBytes);
  return bytes;
}

/** A view of `bytes`; undefined where they are no chunk. */
export function decodeChunk(
  bytes: Uint8Array,
): { readonly set: string; readonly piece: Uint8Array } | undefined {
  if (bytes.length < setBytes) return undefined;
  const set = Buffer.from(bytes.subarray(0, setBytes)).toString("hex");
  return { set, piece: bytes.subarray(setBytes) };
}

// ---- what a topic has ----

/** What is where in a topic: `Place` is the reader's. */
export type FoundSet<Place> = {
  readonly head: SetHead;
  /** Of the chunks, in order. */
  readonly places: readonly Place[];
};

export type Refused = { readonly slot: Slot; readonly why: string };

type FoundChunk<Place> = { readonly set: string; readonly bytes: number; readonly place: Place };

/** Takes the records of a partition in order, and knows which sets of one agent are whole. */
export class SetIndex<Place> {
  readonly #agent: string;
  /** In the order in which they came. */
  readonly #heads = new Map<Slot, Uint8Array>();
  readonly #chunks = new Map<string, FoundChunk<Place>>();

  constructor(agent: string) {
    this.#agent = encodeURIComponent(agent);
  }

  /** `value` undefined: the key was removed. Nothing of it is kept but a head. */
  take(key: Uint8Array, value: Uint8Array | undefined, place: Place): void {
    const [agent, name, chunk, ...rest] = new TextDecoder().decode(key).split("/");
    const slot = slots.find((each) => each === name);
    if (agent !== this.#agent || slot === undefined || rest.length > 0) return;
    if (chunk === undefined) {
      this.#heads.delete(slot);
      if (value !== undefined) this.#heads.set(slot, value.slice());
      return;
    }
    const at = `${slot}/${chunk}`;
    const found = value && decodeChunk(value);
    if (found === undefined) this.#chunks.delete(at);
    else this.#chunks.set(at, { set: found.set, bytes: found.piece.length, place });
  }

  /**
   * The whole sets, the newest first, and why the others are none. Newest is what was written last, since
   * clocks may be wrong; but what the name's earlier hardware wrote is always older.
   */
  result(): { readonly sets: readonly FoundSet<Place>[]; readonly refused: readonly Refused[] } {
    const sets: FoundSet<Place>[] = [];
    const refused: Refused[] = [];
    const headless = slots.filter((slot) => !this.#heads.has(slot));
    for (const slot of [...this.#heads.keys(), ...headless]) {
      const found = this.#setOf(slot);
      if (typeof found === "string") refused.push({ slot, why: found });
      else if (found !== undefined) sets.unshift(found);
    }
    return { sets: sets.toSorted((a, b) => b.head.life - a.head.life), refused };
  }

  #setOf(slot: Slot): FoundSet<Place> | string | undefined {
    const bytes = this.#heads.get(slot);
    if (bytes === undefined) {
      const begun = [...this.#chunks.keys()].some((at) => at.startsWith(`${slot}/`));
      return begun ? "its head is missing: it was never finished" : undefined;
    }
    let head: SetHead;
    try {
      head = decodeHead(bytes, `the head of savepoint ${slot}`);
    } catch (error) {
      if (error instanceof Fault) return error.message;
      throw error;
    }
    if (encodeURIComponent(head.agent) !== this.#agent) return `it is of ${head.agent}`;
    if (head.bytes > limits.savepointFileBytesMax) {
      return `its head says ${head.bytes} bytes, more than the ${limits.savepointFileBytesMax} that are ever sent`;
    }
    const places: Place[] = [];
    let length = 0;
    for (let chunk = 0; chunk < head.chunks; chunk++) {
      const found = this.#chunks.get(`${slot}/${chunk}`);
      if (found === undefined) return `chunk ${chunk} of ${head.chunks} is missing`;
      if (found.set !== head.set) {
        return `chunk ${chunk} of ${head.chunks} is of another one: it was being written anew`;
      }
      length += found.bytes;
      places.push(found.place);
    }
    if (length !== head.bytes) return `its chunks have ${length} bytes, not ${head.bytes}`;
    return { head, places };
  }
}

/** Digest of a file that is read piece by piece. */
export class FileDigest {
  readonly #hash: Hash = createHash("sha256");

  add(piece: Uint8Array): void {
    this.#hash.update(piece);
  }

  /** In hex; the end of it. */
  end(): string {
    return this.#hash.digest("hex");
  }
}
