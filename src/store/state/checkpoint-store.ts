/**
 * The checkpoint in the state store: operator state in chunks, and the record that says which chunks
 * belong to it.
 *
 *   checkpoint             {"at":..,"spec":"..","tables":{"<name>":[[0,7],[9,9]]}}
 *   state/<table>/<chunk>  bytes of the chunk
 *   refused-rows           bytes of RefusedRows
 *
 * `tables` lists the chunks of each table as inclusive ranges, so nothing has to be searched: stale
 * chunks are removed by their names, and a chunk that is missing is noticed. A checkpoint writes the
 * chunks that changed; all others stay as they are.
 */

import type { Kv, KvWrite } from "../../core/doors.ts";
import { type Position, position } from "../../core/units.ts";
import { checkpointKey, refusedRowsKey, stateKey } from "./kv-key.ts";
import {
  damaged,
  decodeJson,
  encodeJson,
  itemsOf,
  listOf,
  objectOf,
  textOf,
  wholeOf,
} from "./stored-json.ts";

export type StateChunk = {
  readonly table: string;
  readonly chunk: number;
  /** Given away: never touched again. */
  readonly bytes: Uint8Array;
};

/** Operator state as of the commit's `through`. */
export type Checkpoint = {
  /** The chunks that changed since the last checkpoint. */
  readonly chunks: readonly StateChunk[];
  /** Names of all tables of the dataflow; state of other tables is removed. */
  readonly tables: readonly string[];
  /** JSON of the DataflowSpec in force. */
  readonly spec: string;
  /** Rows of the log that the tables do not have yet and that were not accepted (RefusedRows). */
  readonly refused: Uint8Array;
};

export type RecoveredCheckpoint = {
  readonly at: Position;
  readonly spec: string;
  readonly tables: readonly string[];
  /** Undefined where a weir without tables wrote it. */
  readonly refused: Uint8Array | undefined;
  /** All chunks, each read when it is asked for. Faults: STORE_FAILED where one is missing. */
  chunks(): Iterable<StateChunk>;
};

/** What the store holds: the chunk numbers of each table. */
export type CheckpointIndex = ReadonlyMap<string, ReadonlySet<number>>;

export const emptyIndex: CheckpointIndex = new Map();

/** The writes of a checkpoint at `at`, and what the store holds after them. */
export function checkpointWrites(
  index: CheckpointIndex,
  at: Position,
  checkpoint: Checkpoint,
): { readonly writes: readonly KvWrite[]; readonly index: CheckpointIndex } {
  const { chunks, spec, refused } = checkpoint;
  const tables = new Map<string, Set<number>>();
  for (const name of checkpoint.tables) tables.set(name, new Set(index.get(name)));
  const puts = chunks.map(({ table, chunk, bytes }) => {
    const held = tables.get(table) ?? new Set<number>();
    tables.set(table, held.add(chunk));
    return { key: stateKey(table, chunk), value: bytes };
  });
  const removals: KvWrite[] = [];
  for (const [table, held] of index) {
    for (const chunk of held) {
      if (tables.get(table)?.has(chunk) === true) continue;
      removals.push({ key: stateKey(table, chunk), value: undefined });
    }
  }
  const ranges = Object.fromEntries([...tables].map(([name, held]) => [name, rangesOf(held)]));
  const record = encodeJson({ at, spec, tables: ranges });
  return {
    writes: [
      ...removals,
      ...puts,
      { key: refusedRowsKey, value: refused },
      { key: checkpointKey, value: record },
    ],
    index: tables,
  };
}

/** The checkpoint and its index; undefined before the first. Faults: STORE_FAILED. */
export function readCheckpoint(
  kv: Kv,
): { readonly checkpoint: RecoveredCheckpoint; readonly index: CheckpointIndex } | undefined {
  const place = "the state store's checkpoint";
  const value = kv.get(checkpointKey);
  if (value === undefined) {
    if (kv.get(refusedRowsKey) === undefined) return undefined;
    throw damaged(place, "it is missing beside the refused rows, which are written with it");
  }
  const stored = decodeJson(value, place);
  const listed = objectOf(stored.fields["tables"], `${stored.place}, tables`);
  const tables = new Map(
    Object.keys(listed.fields).map((name) => [name, chunksOf(listOf(listed, name), listed.place)]),
  );
  return {
    index: tables,
    checkpoint: {
      at: position(wholeOf(stored, "at")),
      spec: textOf(stored, "spec"),
      tables: [...tables.keys()],
      refused: kv.get(refusedRowsKey),
      chunks: () => readChunks(kv, tables),
    },
  };
}

function* readChunks(
  kv: Kv,
  tables: ReadonlyMap<string, ReadonlySet<number>>,
): Generator<StateChunk> {
  for (const [table, chunks] of tables) {
    for (const chunk of chunks) {
      const bytes = kv.get(stateKey(table, chunk));
      if (bytes === undefined) {
        throw damaged("the state store's checkpoint", `chunk ${chunk} of ${table} is missing`);
      }
      yield { table, chunk, bytes };
    }
  }
}

/** [0, 1, 2, 5] as [[0, 2], [5, 5]]. */
function rangesOf(chunks: ReadonlySet<number>): readonly (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  for (const chunk of [...chunks].toSorted((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === chunk - 1) last[1] = chunk;
    else ranges.push([chunk, chunk]);
  }
  return ranges;
}

function chunksOf(ranges: readonly unknown[], place: string): ReadonlySet<number> {
  const chunks = new Set<number>();
  for (const range of ranges) {
    const [from, to] = itemsOf(range, place);
    const isRange = Number.isSafeInteger(from) && Number.isSafeInteger(to);
    if (!isRange || Number(to) - Number(from) > chunksMax) {
      throw damaged(place, "invalid chunk range");
    }
    for (let chunk = Number(from); chunk <= Number(to); chunk++) chunks.add(chunk);
  }
  return chunks;
}

/** More chunks than a table can have: a damaged range must not fill the memory. */
const chunksMax = 1_000_000;
