/**
 * Origins: of which device a series is, of which source a device is, and what that source says about
 * time. Flat arrays, so that the accept stage finds them by index; derived from the catalog and the
 * configuration, hence never written.
 */

import { assert } from "../core/assert.ts";
import type { Catalog } from "../core/catalog.ts";
import { limits } from "../core/limits.ts";
import { deviceId, seriesId, sourceId } from "../core/units.ts";
import type { SourceSpec } from "./spec.ts";

export class Origins {
  readonly #catalog: Catalog;
  /** DeviceId of each series below `seriesCount`. */
  readonly deviceOfSeries: Uint32Array;
  /** SourceId of each device below `deviceCount`. */
  readonly sourceOfDevice: Uint16Array;
  /** By SourceId, ms. */
  readonly disorderMs: Float64Array = new Float64Array(limits.sourcesMax);
  readonly futureMs: Float64Array = new Float64Array(limits.sourcesMax);
  readonly idleMs: Float64Array = new Float64Array(limits.sourcesMax);
  #sources: readonly SourceSpec[];
  #seriesCount = 0;
  #deviceCount = 0;
  #sourceCount = 0;

  constructor(
    catalog: Catalog,
    options: {
      readonly sources: readonly SourceSpec[];
      readonly seriesMax: number;
      readonly devicesMax: number;
    },
  ) {
    this.#catalog = catalog;
    this.#sources = options.sources;
    this.deviceOfSeries = new Uint32Array(options.seriesMax);
    this.sourceOfDevice = new Uint16Array(options.devicesMax);
    this.follow();
  }

  get seriesCount(): number {
    return this.#seriesCount;
  }
  get deviceCount(): number {
    return this.#deviceCount;
  }

  /** Takes in what the catalog has learnt since the last call. O(new entries). */
  follow(): void {
    const catalog = this.#catalog;
    // Whoever defines may be ahead of the log, even of the configuration that makes room for it.
    const seriesEnd = Math.min(catalog.seriesCount, this.deviceOfSeries.length);
    const deviceEnd = Math.min(catalog.deviceCount, this.sourceOfDevice.length);
    assert(catalog.sourceCount <= limits.sourcesMax, "sourcesMax bounds the catalog");
    for (; this.#seriesCount < seriesEnd; this.#seriesCount++) {
      const { device } = catalog.series(seriesId(this.#seriesCount));
      this.deviceOfSeries[this.#seriesCount] = device;
    }
    for (; this.#deviceCount < deviceEnd; this.#deviceCount++) {
      const { source } = catalog.device(deviceId(this.#deviceCount));
      this.sourceOfDevice[this.#deviceCount] = source;
    }
    for (; this.#sourceCount < catalog.sourceCount; this.#sourceCount++) {
      this.#describe(this.#sourceCount);
    }
  }

  /** The configuration changed. A source it no longer names delivers in order, and is idle at once. */
  setSources(sources: readonly SourceSpec[]): void {
    this.#sources = sources;
    for (let source = 0; source < this.#sourceCount; source++) this.#describe(source);
  }

  #describe(source: number): void {
    const name = this.#catalog.source(sourceId(source));
    const spec = this.#sources.find((candidate) => candidate.name === name);
    this.disorderMs[source] = spec?.disorderMs ?? 0;
    this.futureMs[source] = spec?.futureMs ?? 0;
    this.idleMs[source] = spec?.idleMs ?? 0;
  }
}
