/**
 * Names get their dense ids here: sources, devices, series and symbols. A new name is defined in the
 * catalog at once and its definition is handed on, so that it stands in the log before the first
 * row that uses the id. Every kind is bounded; past its limit a name is refused, for ever, because
 * ids are never reused. While memory is short all that is new is refused, and only for then.
 */

import type { Catalog } from "../../core/catalog.ts";
import { Fault } from "../../core/faults.ts";
import type { Definition, Tags } from "../../core/frame.ts";
import { limits } from "../../core/limits.ts";
import {
  type DeviceId,
  deviceId,
  type SeriesId,
  type SourceId,
  seriesId,
  sourceId,
  symbolId,
} from "../../core/units.ts";
import { ByteTable } from "./byte-table.ts";

/** A limit was reached. */
export const REFUSED = -1;

export type NameLimits = {
  readonly devicesMax: number;
  readonly seriesMax: number;
  readonly symbolsMax: number;
  readonly symbolBytesMax: number;
  readonly metricsPerDeviceMax: number;
  readonly metricBytesMax: number;
};

export class Names {
  readonly #catalog: Catalog;
  readonly #limits: NameLimits;
  readonly #define: (definition: Definition) => void;
  readonly #isShort: () => boolean;
  readonly #symbols: ByteTable;
  /** Of each device: its series. */
  readonly #metrics: Uint32Array;

  /** `define` is given each new definition, once, after the catalog has it. */
  constructor(options: {
    readonly catalog: Catalog;
    readonly limits: NameLimits;
    readonly define: (definition: Definition) => void;
    /** Whether memory is short. Default: never. */
    readonly isShort?: (() => boolean) | undefined;
  }) {
    this.#isShort = options.isShort ?? (() => false);
    this.#catalog = options.catalog;
    this.#limits = options.limits;
    this.#define = options.define;
    const { symbolsMax, symbolBytesMax, devicesMax } = options.limits;
    const bytesMax = symbolsMax * symbolBytesMax;
    this.#symbols = new ByteTable({ entriesMax: symbolsMax, bytesMax });
    this.#metrics = new Uint32Array(Math.max(devicesMax, options.catalog.deviceCount));
    this.#learnCatalog();
  }

  source(name: string): SourceId {
    const known = this.#catalog.findSource(name);
    if (known !== undefined) return known;
    if (this.#catalog.sourceCount >= limits.sourcesMax) {
      throw new Fault(
        "CONFIG_INVALID",
        `the data directory knows ${limits.sourcesMax} sources already, and there is no room for ${JSON.stringify(name)}: give a source its former name, or use another data directory`,
        { facts: { name } },
      );
    }
    const id = sourceId(this.#catalog.sourceCount);
    this.#new({ kind: "source", id, name });
    return id;
  }

  findDevice(source: SourceId, tags: Tags): DeviceId | undefined {
    return this.#catalog.findDevice(source, tags);
  }

  /** The id of a device, defined where it is new; undefined where the limit was reached. */
  device(source: SourceId, tags: Tags): DeviceId | undefined {
    const known = this.#catalog.findDevice(source, tags);
    if (known !== undefined) return known;
    if (this.isShort || this.#catalog.deviceCount >= this.#limits.devicesMax) return undefined;
    const id = deviceId(this.#catalog.deviceCount);
    this.#new({ kind: "device", id, source, tags });
    return id;
  }

  /** Nothing new is given an id at the moment: what is refused now may be taken later. */
  get isShort(): boolean {
    return this.#isShort();
  }

  /** Whether a new series would be given an id, as far as their number and memory go. */
  get roomForSeries(): boolean {
    return this.#catalog.seriesCount < this.#limits.seriesMax && !this.isShort;
  }

  /** The id of a series, defined where it is new, or REFUSED. */
  series(device: DeviceId, field: string): SeriesId | typeof REFUSED {
    const metric = field.toWellFormed(); // the log is UTF-8: a lone surrogate would not come back
    const known = this.#catalog.findSeries(device, metric);
    if (known !== undefined) return known;
    const full =
      !this.roomForSeries ||
      this.#metrics[device]! >= this.#limits.metricsPerDeviceMax ||
      !this.isMetric(metric);
    if (full) return REFUSED;
    const id = seriesId(this.#catalog.seriesCount);
    this.#new({ kind: "series", id, device, metric });
    this.#metrics[device] = this.#metrics[device]! + 1;
    return id;
  }

  isMetric(metric: string): boolean {
    return Buffer.byteLength(metric) <= this.#limits.metricBytesMax;
  }

  isSymbol(text: string): boolean {
    return Buffer.byteLength(text) <= this.#limits.symbolBytesMax;
  }

  /** The id of a symbol, defined where it is new, or REFUSED. */
  symbol(value: string): number {
    const text = value.toWellFormed();
    const known = this.#catalog.findSymbol(text);
    if (known !== undefined) return known;
    const isFull = this.#catalog.symbolCount >= this.#limits.symbolsMax;
    if (isFull || this.isShort || !this.isSymbol(text)) return REFUSED;
    const id = symbolId(this.#catalog.symbolCount);
    this.#new({ kind: "symbol", id, text });
    this.#learnSymbol(text, id);
    return id;
  }

  /** The id of the symbol whose UTF-8 is `bytes[start, end)`, or REFUSED where it is not known yet. */
  symbolOfBytes(bytes: Uint8Array, start: number, end: number): number {
    return this.#symbols.find(bytes, start, end);
  }

  #new(definition: Definition): void {
    this.#catalog.define(definition);
    this.#define(definition);
  }

  #learnSymbol(text: string, id: number): void {
    const bytes = Buffer.from(text);
    this.#symbols.add(bytes, 0, bytes.length, id);
  }

  #learnCatalog(): void {
    const catalog = this.#catalog;
    for (let id = 0; id < catalog.symbolCount; id++) {
      this.#learnSymbol(catalog.symbol(symbolId(id)), id);
    }
    for (let id = 0; id < catalog.seriesCount; id++) {
      const { device } = catalog.series(seriesId(id));
      this.#metrics[device] = this.#metrics[device]! + 1;
    }
  }
}
