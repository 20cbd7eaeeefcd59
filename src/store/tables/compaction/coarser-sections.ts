/**
 * The coarser sections of a merge, made of the rows of its finest one while these are written: the
 * inputs are read once, and not once again for every resolution.
 *
 *   rows of the finest  ->  buckets of 10 s  ->  1 min  ->  10 min  ->  ...
 *
 * The file has one section after another, so the encoded blocks of the coarser ones wait in memory, a
 * named limit of bytes at most. Those that would be more, and those that turn out not to be worth
 * their bytes, are let go: if one of them is wanted after all, it is made of the inputs.
 */

import { assert } from "../../../core/assert.ts";
import { limits } from "../../../core/limits.ts";
import type { SeriesId } from "../../../core/units.ts";
import { encodeBlock } from "../file/encoded-block.ts";
import type { TableWriter } from "../file/table-writer.ts";
import { rollUp, settle } from "../rollup.ts";
import { createRows, type ResolutionMs, type Rows } from "../rows.ts";
import { GatheredBlocks } from "./gathered-blocks.ts";

type Tier = {
  readonly resolution: ResolutionMs;
  /** What its buckets are made of: the finest section, or a tier before. */
  readonly from: ResolutionMs;
  readonly rows: Rows;
  /** Undefined once they are let go. */
  blocks: GatheredBlocks | undefined;
};

export class CoarserSections {
  readonly #finest: ResolutionMs;
  readonly #tiers: readonly Tier[];
  readonly #bytesMax: number;
  #series: SeriesId | undefined;

  /** `tiers` in ascending order, each a multiple of `finest` where that is none of readings. */
  constructor(
    finest: ResolutionMs,
    tiers: readonly ResolutionMs[],
    { bytesMax = limits.mergeGatheredBytesMax }: { readonly bytesMax?: number } = {},
  ) {
    this.#finest = finest;
    this.#bytesMax = bytesMax;
    this.#tiers = tiers.map((resolution, i) => ({
      resolution,
      from: tiers.slice(0, i).findLast((from) => resolution % from === 0) ?? finest,
      rows: createRows(resolution),
      blocks: new GatheredBlocks({ bytesMax }),
    }));
  }

  /** Gathered so far; never more than the limit between two calls. */
  get bytes(): number {
    return this.#tiers.reduce((sum, { blocks }) => sum + (blocks?.bytes ?? 0), 0);
  }

  /** The series that follow belong to one device. */
  beginDevice(): void {
    for (const { resolution, blocks } of this.#tiers) {
      if (blocks?.beginDevice() === false) this.letGo(resolution);
    }
  }

  /** Rows of the finest section, which are only read. Rows of one series follow one another, ascending. */
  add(series: SeriesId, rows: Rows): void {
    assert(this.#series === undefined || this.#series === series, "a series is ended");
    this.#series = series;
    this.#rollUp(this.#finest, rows);
  }

  /** All rows of the series were added. */
  endSeries(): void {
    if (this.#series === undefined) return;
    for (const tier of this.#tiers) if (tier.rows.rows > 0) this.#emit(tier);
    this.#series = undefined;
  }

  /** This section is not gathered any further, and what there is of it goes. */
  letGo(resolution: ResolutionMs): void {
    const tier = this.#tiers.find((other) => other.resolution === resolution);
    if (tier !== undefined) tier.blocks = undefined;
  }

  /** Writes the section, which is then let go; false where it has to be made of the inputs. */
  async write(
    resolution: ResolutionMs,
    writer: TableWriter,
    breathe: () => Promise<void>,
  ): Promise<boolean> {
    const blocks = this.#tiers.find((tier) => tier.resolution === resolution)?.blocks;
    if (blocks === undefined) return false;
    writer.beginSection(resolution);
    await blocks.writeTo(writer, breathe);
    this.letGo(resolution);
    return true;
  }

  #rollUp(from: ResolutionMs, rows: Rows): void {
    for (const tier of this.#tiers) {
      if (tier.from !== from) continue;
      for (let row = 0; ; ) {
        row = rollUp(rows, tier.rows, { from, to: tier.resolution, row });
        if (row === rows.rows) break;
        this.#emit(tier);
      }
    }
  }

  /** A block that is full, or the last of its series: all its buckets are whole. */
  #emit(tier: Tier): void {
    const { resolution, rows } = tier;
    this.#rollUp(resolution, rows);
    if (tier.blocks !== undefined) {
      settle(rows);
      this.#gather(tier, tier.blocks);
    }
    rows.rows = 0;
  }

  #gather({ resolution, rows }: Tier, blocks: GatheredBlocks): void {
    assert(this.#series !== undefined, "buckets belong to a series");
    if (!blocks.add(this.#series, encodeBlock(resolution, rows))) this.letGo(resolution);
    while (this.bytes > this.#bytesMax) this.letGo(this.#largest());
  }

  #largest(): ResolutionMs {
    const bytesOf = ({ blocks }: Tier): number => blocks?.bytes ?? 0;
    return this.#tiers.reduce((one, other) => (bytesOf(other) > bytesOf(one) ? other : one))
      .resolution;
  }
}
