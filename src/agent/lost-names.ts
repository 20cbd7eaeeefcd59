/**
 * When a damaged frame of the log held definitions, later frames speak of ids that nobody defined.
 * Their readings are not to be lost with the names: each missing id gets a name that says so, and
 * keeps it (ids are never reused). The true name gets a new id when its next message arrives.
 */

import { KIND_SYMBOL } from "../core/batch.ts";
import type { Catalog } from "../core/catalog.ts";
import type { Definition, Frame } from "../core/frame.ts";
import { deviceId, seriesId, sourceId, symbolId } from "../core/units.ts";

/** Defines in `catalog` what `frame` needs and nobody has defined; the result is what was defined. */
export function defineLostNames(catalog: Catalog, frame: Frame): readonly Definition[] {
  const lost: Definition[] = [];
  const define = (definition: Definition): void => {
    catalog.define(definition);
    lost.push(definition);
  };
  const { series, symbols } = idsOfRows(frame);
  for (const definition of frame.definitions) {
    defineBelow(catalog, definition, define);
    catalog.define(definition);
  }
  while (catalog.seriesCount < series) define(lostSeries(catalog, define));
  while (catalog.symbolCount < symbols) define(lostSymbol(catalog));
  return lost;
}

/** Everything of the definition's kind with a smaller id. */
function defineBelow(
  catalog: Catalog,
  definition: Definition,
  define: (definition: Definition) => void,
): void {
  switch (definition.kind) {
    case "source":
      while (catalog.sourceCount < definition.id) define(lostSource(catalog));
      return;
    case "device":
      while (catalog.sourceCount <= definition.source) define(lostSource(catalog));
      while (catalog.deviceCount < definition.id) define(lostDevice(catalog, define));
      return;
    case "series":
      while (catalog.deviceCount <= definition.device) define(lostDevice(catalog, define));
      while (catalog.seriesCount < definition.id) define(lostSeries(catalog, define));
      return;
    case "symbol":
      while (catalog.symbolCount < definition.id) define(lostSymbol(catalog));
      return;
    case "config":
    case "posted":
      return;
  }
}

function lostSource(catalog: Catalog): Definition {
  const id = sourceId(catalog.sourceCount);
  return { kind: "source", id, name: `lost-${id}` };
}

function lostDevice(catalog: Catalog, define: (definition: Definition) => void): Definition {
  if (catalog.sourceCount === 0) define(lostSource(catalog));
  const id = deviceId(catalog.deviceCount);
  return { kind: "device", id, source: sourceId(0), tags: [["lost", `device-${id}`]] };
}

/** Of the newest device: another one of its own would take the id of one that the log still names. */
function lostSeries(catalog: Catalog, define: (definition: Definition) => void): Definition {
  if (catalog.deviceCount === 0) define(lostDevice(catalog, define));
  const id = seriesId(catalog.seriesCount);
  return { kind: "series", id, device: deviceId(catalog.deviceCount - 1), metric: `lost-${id}` };
}

function lostSymbol(catalog: Catalog): Definition {
  const id = symbolId(catalog.symbolCount);
  return { kind: "symbol", id, text: `lost-${id}` };
}

/** One more than the largest series and symbol id among the rows. */
function idsOfRows({ batch }: Frame): { readonly series: number; readonly symbols: number } {
  let series = 0;
  let symbols = 0;
  for (let row = 0; row < batch.rows; row++) {
    series = Math.max(series, batch.series[row]! + 1);
    if ((batch.kind[row]! & KIND_SYMBOL) !== 0) symbols = Math.max(symbols, batch.value[row]! + 1);
  }
  return { series, symbols };
}
