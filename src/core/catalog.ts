/**
 * The catalog: dense ids for sources, devices, series and symbols, and their names. Filled by
 * definitions only, in the order of the log; what is kept in the state store is a projection.
 * Ids are never reused. Bounded by the caller, who asks `limits` before defining.
 */

import { assert, unreachable } from "./assert.ts";
import type { Definition, Tags } from "./frame.ts";
import {
  type DeviceId,
  deviceId,
  type SeriesId,
  type SourceId,
  type SymbolId,
  symbolId,
} from "./units.ts";

export const SYMBOL_FALSE: SymbolId = symbolId(0);
export const SYMBOL_TRUE: SymbolId = symbolId(1);

export type Device = { readonly source: SourceId; readonly tags: Tags };
export type Series = { readonly device: DeviceId; readonly metric: string };

/** The name of a device within its source: `line=a,device=p1`. Unambiguous: values are JSON-escaped where needed. */
export function nameOfTags(tags: Tags): string {
  return tags.map(([name, value]) => `${name}=${plainOrQuoted(value)}`).join(",");
}

/** A copy in the order of the names, by UTF-16 code units: the one order tags are kept in. */
export function sortedTags(tags: Tags): Tags {
  return tags.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** `temperature{device=p1,line=a}`: measurement and tags. */
export function nameOfSeries(metric: string, tags: Tags): string {
  return `${plainOrQuoted(metric)}{${nameOfTags(tags)}}`;
}

function plainOrQuoted(text: string): string {
  return /^[A-Za-z0-9_.:/ -]+$/.test(text) ? text : JSON.stringify(text);
}

export class Catalog {
  readonly #sources: string[] = [];
  readonly #devices: Device[] = [];
  readonly #series: Series[] = [];
  readonly #symbols: string[] = ["false", "true"];
  readonly #sourceIds = new Map<string, SourceId>();
  readonly #deviceIds = new Map<string, DeviceId>();
  readonly #seriesIds = new Map<string, SeriesId>();
  readonly #symbolIds = new Map<string, SymbolId>([
    ["false", SYMBOL_FALSE],
    ["true", SYMBOL_TRUE],
  ]);

  get sourceCount(): number {
    return this.#sources.length;
  }
  get deviceCount(): number {
    return this.#devices.length;
  }
  /** Names of each kind. */
  get counts(): {
    readonly sources: number;
    readonly devices: number;
    readonly series: number;
    readonly symbols: number;
  } {
    return {
      sources: this.sourceCount,
      devices: this.deviceCount,
      series: this.seriesCount,
      symbols: this.symbolCount,
    };
  }

  get seriesCount(): number {
    return this.#series.length;
  }
  get symbolCount(): number {
    return this.#symbols.length;
  }

  source(id: SourceId): string {
    const name = this.#sources[id];
    assert(name !== undefined, "a source id in use is defined");
    return name;
  }
  device(id: DeviceId): Device {
    const device = this.#devices[id];
    assert(device !== undefined, "a device id in use is defined");
    return device;
  }
  series(id: SeriesId): Series {
    const series = this.#series[id];
    assert(series !== undefined, "a series id in use is defined");
    return series;
  }
  symbol(id: SymbolId): string {
    const text = this.#symbols[id];
    assert(text !== undefined, "a symbol id in use is defined");
    return text;
  }
  /** `temperature{device=p1,line=a}`. */
  seriesName(id: SeriesId): string {
    const { device, metric } = this.series(id);
    return nameOfSeries(metric, this.device(device).tags);
  }

  findSource(name: string): SourceId | undefined {
    return this.#sourceIds.get(name);
  }
  findDevice(source: SourceId, tags: Tags): DeviceId | undefined {
    return this.#deviceIds.get(deviceKey(source, tags));
  }
  findSeries(device: DeviceId, metric: string): SeriesId | undefined {
    return this.#seriesIds.get(seriesKey(device, metric));
  }
  findSymbol(text: string): SymbolId | undefined {
    return this.#symbolIds.get(text);
  }

  /** Takes a definition; one that is already known must say the same (replay repeats them). */
  define(definition: Definition): void {
    switch (definition.kind) {
      case "source":
        if (isNew(this.#sources, definition.id)) {
          this.#sources.push(definition.name);
          this.#sourceIds.set(definition.name, definition.id);
        }
        assert(this.#sources[definition.id] === definition.name, "a source keeps its name");
        return;
      case "device":
        if (isNew(this.#devices, definition.id)) {
          this.#devices.push({ source: definition.source, tags: definition.tags });
          this.#deviceIds.set(deviceKey(definition.source, definition.tags), definition.id);
        }
        return;
      case "series":
        if (isNew(this.#series, definition.id)) {
          assert(definition.device < this.#devices.length, "a device is defined before its series");
          this.#series.push({ device: deviceId(definition.device), metric: definition.metric });
          this.#seriesIds.set(seriesKey(definition.device, definition.metric), definition.id);
        }
        return;
      case "symbol":
        if (isNew(this.#symbols, definition.id)) {
          this.#symbols.push(definition.text);
          this.#symbolIds.set(definition.text, definition.id);
        }
        assert(this.#symbols[definition.id] === definition.text, "a symbol keeps its text");
        return;
      case "config":
      case "posted":
        return;
      default:
        unreachable(definition);
    }
  }
}

function isNew(known: readonly unknown[], id: number): boolean {
  assert(id <= known.length, "ids are given in order, without gaps");
  return id === known.length;
}

function deviceKey(source: SourceId, tags: Tags): string {
  return `${source}|${nameOfTags(tags)}`;
}

function seriesKey(device: DeviceId, metric: string): string {
  return `${device}|${metric}`;
}
