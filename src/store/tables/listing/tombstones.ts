/**
 * Tombstones: readings that were erased, and are still in files. They are in no answer any more, and
 * in no table that is written from now on; when no listed table can have them, the tombstone goes.
 *
 *   tombstone/<position>   {"series":[4,5],"from":ms,"to":ms}      from, to: absent without an end
 *
 * A tombstone is about readings accepted before its position, the place of the erasure in the log: a
 * table says below which position all of its readings were accepted (`to`), and one that was written
 * with the tombstone known is put above it. Memory is cut at once, so no row of it lies below.
 *
 * Of a resolution, buckets that reach into an erased stretch go whole, where nothing finer is left to
 * make them anew.
 */

import type { Kv, KvWrite } from "../../../core/doors.ts";
import { type Position, position, type SeriesId, seriesId } from "../../../core/units.ts";
import { numberOfKey, tombstoneKey } from "../../state/kv-key.ts";
import {
  damaged,
  decodeJson,
  encodeJson,
  listOf,
  numberOf,
  type StoredObject,
} from "../../state/stored-json.ts";
import { allTime, type TimeRange } from "../rows.ts";
import type { TableFiles } from "./table-files.ts";
import type { ListedTable } from "./table-list.ts";

export type Tombstone = {
  /** Of the erasure in the log; one a position. */
  readonly at: Position;
  readonly series: readonly SeriesId[];
  readonly range: TimeRange;
};

export class Tombstones {
  readonly all: readonly Tombstone[];
  /** By series, in the order of their positions. */
  readonly #bySeries = new Map<SeriesId, Tombstone[]>();

  constructor(all: readonly Tombstone[] = []) {
    this.all = all.toSorted((a, b) => a.at - b.at);
    for (const tombstone of this.all) {
      for (const series of tombstone.series) {
        const known = this.#bySeries.get(series);
        if (known === undefined) this.#bySeries.set(series, [tombstone]);
        else known.push(tombstone);
      }
    }
  }

  /** Above every position there is a tombstone for; 0 where there is none. */
  get end(): Position {
    const newest = this.all.at(-1);
    return position(newest === undefined ? 0 : newest.at + 1);
  }

  has(at: Position): boolean {
    return this.all.some((tombstone) => tombstone.at === at);
  }

  with(added: Tombstone): Tombstones {
    return new Tombstones([...this.all, added]);
  }

  without(removed: readonly Tombstone[]): Tombstones {
    return new Tombstones(this.all.filter((tombstone) => !removed.includes(tombstone)));
  }

  /** What is erased of the series among readings accepted before `to`. O(tombstones of the series). */
  erasedIn(series: SeriesId, to: Position): readonly TimeRange[] {
    const known = this.#bySeries.get(series) ?? [];
    return known.filter(({ at }) => to <= at).map(({ range }) => range);
  }
}

/** Whether the table may have readings that the tombstone is about; its filter may know better. */
export function isInReach({ at, range }: Tombstone, table: ListedTable): boolean {
  return table.to <= at && table.timeFirst < range.to && table.timeLast >= range.from;
}

/**
 * A table that may have readings that were erased, by its filter; one that cannot be opened now is
 * passed over.
 */
export async function erasedTable(
  tables: readonly ListedTable[],
  tombstones: Tombstones,
  files: TableFiles,
): Promise<ListedTable | undefined> {
  for (const tombstone of tombstones.all) {
    for (const table of tables.filter((listed) => isInReach(tombstone, listed))) {
      using held = await files
        .hold(table.id)
        .then((found) => (found.kind === "table" ? found : null));
      if (held === null) continue;
      if (tombstone.series.some((series) => held.table.mayHold(series))) return table;
    }
  }
  return undefined;
}

/**
 * Those that none of the tables, whose filters were not asked, is in reach of; `below`: so far memory
 * reaches that is being written.
 */
export function tombstonesOver(
  { all }: Tombstones,
  waiting: readonly ListedTable[],
  below: Position | undefined,
): readonly Tombstone[] {
  return all.filter(
    (tombstone) =>
      (below === undefined || below > tombstone.at) &&
      !waiting.some((listed) => isInReach(tombstone, listed)),
  );
}

// ---- the state store ----

const tombstonesPerRead = 256;

/** Faults: STORE_FAILED. */
export function readTombstones(kv: Kv): Tombstones {
  const all: Tombstone[] = [];
  for (;;) {
    const entries = kv.range({
      from: tombstoneKey((all.at(-1)?.at ?? -1) + 1),
      to: tombstoneKey(Number.MAX_SAFE_INTEGER),
      limit: tombstonesPerRead,
    });
    if (entries.length === 0) return new Tombstones(all);
    for (const { key, value } of entries) {
      all.push(tombstoneOf(numberOfKey(key), decodeJson(value, `the state store's ${key}`)));
    }
  }
}

/** What makes `after` of `before`. */
export function tombstoneWrites(before: Tombstones, after: Tombstones): readonly KvWrite[] {
  return [
    ...before.all
      .filter(({ at }) => !after.has(at))
      .map(({ at }) => ({ key: tombstoneKey(at), value: undefined })),
    ...after.all
      .filter(({ at }) => !before.has(at))
      .map(({ at, series, range }) => ({
        key: tombstoneKey(at),
        value: encodeJson({
          series,
          ...(range.from === allTime.from ? {} : { from: range.from }),
          ...(range.to === allTime.to ? {} : { to: range.to }),
        }),
      })),
  ];
}

function tombstoneOf(at: number, stored: StoredObject): Tombstone {
  return {
    at: position(at),
    series: listOf(stored, "series").map((id) => {
      if (typeof id === "number" && Number.isSafeInteger(id) && id >= 0) return seriesId(id);
      throw damaged(stored.place, "a series is not a whole number");
    }),
    range: {
      from: "from" in stored.fields ? numberOf(stored, "from") : allTime.from,
      to: "to" in stored.fields ? numberOf(stored, "to") : allTime.to,
    },
  };
}
