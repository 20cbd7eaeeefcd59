/**
 * Which series a pipeline takes and under which key: `where` and `key` of its definition, decided
 * once per series, at the first row the pipeline sees of it.
 *
 *   cells[series]   0 unknown | k + 1 key index k | -1 filtered | -2 refused
 *
 * Key indexes are given in the order of those first rows, which is the order of the log; a tag the
 * device lacks is left out of the key. Only the cells are state: names come from the catalog.
 */

import type { Catalog } from "../core/catalog.ts";
import { nameOfTags } from "../core/catalog.ts";
import { assert } from "../core/assert.ts";
import type { Tags } from "../core/frame.ts";
import { type SeriesId, seriesId } from "../core/units.ts";
import type { WhereSpec } from "./spec.ts";
import { StateTable } from "./state-table.ts";
import { takesSeries } from "./where.ts";

/** `keyOf`: the pipeline does not take this series. */
export const FILTERED = -1;
/** `keyOf`: it does, but keysMax keys exist already. */
export const REFUSED = -2;
/** `peek`: no row of this series has come to the pipeline yet. */
export const UNKNOWN = -3;

/** What an operator knows of its keys. Listed and restored by the dataflow. */
export interface KeyIndex {
  /** Keys so far; key indexes are [0, keyCount). */
  readonly keyCount: number;
  /** Key index of the series, FILTERED or REFUSED; decided once, at its first row. O(1). */
  keyOf(series: SeriesId | number): number;
  /** The same without deciding: UNKNOWN before the first row. */
  peek(series: SeriesId | number): number;
  /** Tags of a key, sorted by name, `metric` among them where it is part of the key. */
  tagsOf(key: number): Tags;
}

export class SeriesKeys implements KeyIndex {
  readonly table: StateTable;
  readonly #catalog: Catalog;
  readonly #key: readonly string[];
  readonly #keysMax: number;
  readonly #cells: Int32Array;
  readonly #takes: (series: SeriesId) => boolean;
  readonly #tags: Tags[] = [];
  readonly #indexes = new Map<string, number>();

  constructor(
    catalog: Catalog,
    options: {
      readonly pipeline: string;
      readonly where: WhereSpec;
      readonly key: readonly string[];
      readonly seriesMax: number;
      readonly keysMax: number;
    },
  ) {
    this.#catalog = catalog;
    this.#key = options.key;
    this.#keysMax = options.keysMax;
    this.#cells = new Int32Array(options.seriesMax);
    this.#takes = takesSeries(catalog, options.where);
    this.table = new StateTable({
      name: `${options.pipeline}/keys`,
      version: 1,
      rowsMax: options.seriesMax,
      rowsPerChunk: 256,
      columns: [{ cells: this.#cells, stride: 1 }],
    });
  }

  get keyCount(): number {
    return this.#tags.length;
  }

  keyOf(series: SeriesId | number): number {
    const cell = this.#cells[series]!;
    if (cell > 0) return cell - 1;
    return cell < 0 ? cell : this.#decide(seriesId(series));
  }

  peek(series: SeriesId | number): number {
    const cell = this.#cells[series]!;
    if (cell > 0) return cell - 1;
    return cell < 0 ? cell : UNKNOWN;
  }

  tagsOf(key: number): Tags {
    const tags = this.#tags[key];
    assert(tags !== undefined, "a key in use has its tags");
    return tags;
  }

  /** Keys that one of these series has; `shared` are those that others have, too. O(series known). */
  keysOf(chosen: ReadonlySet<SeriesId>): {
    readonly own: readonly number[];
    readonly shared: readonly number[];
  } {
    const touched = new Set<number>();
    const others = new Set<number>();
    for (let series = 0; series < this.#catalog.seriesCount; series++) {
      const cell = this.#cells[series]!;
      if (cell > 0) (chosen.has(seriesId(series)) ? touched : others).add(cell - 1);
    }
    const keys = [...touched].toSorted((a, b) => a - b);
    return {
      own: keys.filter((key) => !others.has(key)),
      shared: keys.filter((key) => others.has(key)),
    };
  }

  /** Rebuilds the names of the keys after the table was loaded. */
  restore(): void {
    this.#tags.length = 0;
    this.#indexes.clear();
    for (let series = 0; series < this.#catalog.seriesCount; series++) {
      const cell = this.#cells[series]!;
      if (cell <= 0 || this.#tags[cell - 1] !== undefined) continue;
      const tags = this.#keyTags(seriesId(series));
      this.#tags[cell - 1] = tags;
      this.#indexes.set(nameOfTags(tags), cell - 1);
    }
  }

  #decide(series: SeriesId): number {
    const key = this.#takes(series) ? this.#indexOf(this.#keyTags(series)) : FILTERED;
    this.#cells[series] = key < 0 ? key : key + 1;
    this.table.touch(series);
    return key;
  }

  #keyTags(series: SeriesId): Tags {
    const { device, metric } = this.#catalog.series(series);
    const { tags } = this.#catalog.device(device);
    const key: [string, string][] = [];
    for (const name of this.#key) {
      const value = name === "metric" ? metric : tags.find(([tag]) => tag === name)?.[1];
      if (value !== undefined) key.push([name, value]);
    }
    return key;
  }

  #indexOf(tags: Tags): number {
    const name = nameOfTags(tags);
    const known = this.#indexes.get(name);
    if (known !== undefined) return known;
    if (this.#tags.length === this.#keysMax) return REFUSED;
    this.#indexes.set(name, this.#tags.length);
    return this.#tags.push(tags) - 1;
  }
}
