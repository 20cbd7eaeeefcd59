/**
 * The ledger: where every message and every reading went. Plain counts in fixed cells, changed by
 * the stages themselves, checkpointed with their state and committed with every commit. Conservation:
 *
 *   messages   received = decoded + deadLettered + shed
 *   readings   decoded  = accepted + duplicate + quarantined + rejected          per source
 *   pipeline   accepted = filtered + refused + late + open + closed              after each apply
 *
 * Encoded: u32 version, u32 sources, u32 pipelines, then per row u32 bytes of the name, the name in
 * UTF-8, and its cells as f64, all little-endian. A source nothing was counted for is left out, so
 * that the bytes depend on what was applied and not on what the catalog knows.
 */

import { isDeepStrictEqual } from "node:util";
import type { Catalog } from "../core/catalog.ts";
import type { MessageCounts } from "../core/frame.ts";
import { limits } from "../core/limits.ts";
import { sourceId } from "../core/units.ts";
import * as count from "./pipeline-counts.ts";
import type { PipelineCounts } from "./pipeline-counts.ts";
import { StateTable } from "./state-table.ts";

export const SOURCE_DECODED = 0;
export const SOURCE_DEAD_LETTERED = 1;
export const SOURCE_SHED = 2;
/** Readings of decoded messages, whatever became of them. */
export const SOURCE_READINGS = 3;
export const SOURCE_ACCEPTED = 4;
export const SOURCE_DUPLICATE = 5;
export const SOURCE_QUARANTINED = 6;
export const SOURCE_REJECTED = 7;
/** Information: accepted readings that contradict another of the same time. */
export const SOURCE_CONFLICT = 8;
export const SOURCE_CELLS = 9;

const VERSION = 1;

export type SourceLedger = {
  readonly source: string;
  readonly messages: {
    readonly received: number;
    readonly decoded: number;
    readonly deadLettered: number;
    readonly shed: number;
  };
  readonly readings: {
    readonly decoded: number;
    readonly accepted: number;
    readonly duplicate: number;
    readonly quarantined: number;
    readonly rejected: number;
    readonly conflict: number;
  };
  readonly balanced: boolean;
};

export type PipelineLedger = {
  readonly pipeline: string;
  readonly accepted: number;
  readonly filtered: number;
  readonly refused: number;
  readonly late: number;
  readonly open: number;
  readonly closed: number;
  readonly windows: number;
  readonly corrections: number;
  readonly forced: number;
  readonly alerts: number;
  readonly suppressed: number;
  /** Summaries that lack their sketch, every revision. */
  readonly sketchesLost: number;
  readonly balanced: boolean;
};

export type LedgerView = {
  readonly sources: readonly SourceLedger[];
  readonly pipelines: readonly PipelineLedger[];
  readonly balanced: boolean;
};

/** The ledger of one dataflow. Cells are written directly by the stages that own them. */
export class Ledger {
  /** SOURCE_CELLS cells per SourceId. */
  readonly sources: Float64Array = new Float64Array(limits.sourcesMax * SOURCE_CELLS);
  readonly table: StateTable;
  readonly #catalog: Catalog;
  readonly #pipelines: { readonly name: string; readonly counts: PipelineCounts }[] = [];

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
    this.table = new StateTable({
      name: "ledger",
      version: VERSION,
      rowsMax: limits.sourcesMax,
      rowsPerChunk: limits.sourcesMax,
      columns: [{ cells: this.sources, stride: SOURCE_CELLS }],
    });
  }

  /** The pipelines of the ledger from here on, in order; their cells stay with their owners. */
  setPipelines(
    pipelines: readonly { readonly name: string; readonly counts: PipelineCounts }[],
  ): void {
    this.#pipelines.splice(0, this.#pipelines.length, ...pipelines);
  }

  countMessages(counts: MessageCounts): void {
    const cells = counts.source * SOURCE_CELLS;
    this.sources[cells + SOURCE_DECODED]! += counts.decoded;
    this.sources[cells + SOURCE_DEAD_LETTERED]! += counts.deadLettered;
    this.sources[cells + SOURCE_SHED]! += counts.shed;
    this.sources[cells + SOURCE_READINGS]! += counts.rejected;
    this.sources[cells + SOURCE_REJECTED]! += counts.rejected;
    this.touchSources();
  }

  touchSources(): void {
    this.table.touch(0);
  }

  /** Whether any pipeline waits with readings that a later tick could emit. */
  get isOpen(): boolean {
    return this.#pipelines.some(({ counts }) => counts[count.COUNT_OPEN]! > 0);
  }

  /** Fresh bytes the caller owns; equal ledgers give equal bytes. */
  encode(): Uint8Array {
    const sources = this.#sourceRows();
    const rows = [
      ...sources,
      ...this.#pipelines.map(({ name, counts }) => ({ name, cells: counts })),
    ];
    const names = rows.map(({ name }) => new TextEncoder().encode(name));
    let length = 12;
    for (const [i, { cells }] of rows.entries()) length += 4 + names[i]!.length + cells.length * 8;
    const bytes = new Uint8Array(length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, VERSION, true);
    view.setUint32(4, sources.length, true);
    view.setUint32(8, this.#pipelines.length, true);
    let offset = 12;
    for (const [i, { cells }] of rows.entries()) {
      view.setUint32(offset, names[i]!.length, true);
      bytes.set(names[i]!, offset + 4);
      offset += 4 + names[i]!.length;
      for (const cell of cells) {
        view.setFloat64(offset, cell, true);
        offset += 8;
      }
    }
    return bytes;
  }

  /** Whether `encoded` is what `encode` would give now. */
  equals(encoded: Uint8Array): boolean {
    const bytes = this.encode();
    return bytes.length === encoded.length && bytes.every((byte, i) => byte === encoded[i]);
  }

  /** A plain object for JSON, with the balances checked. */
  view(): LedgerView {
    return viewOf(
      this.#sourceRows(),
      this.#pipelines.map(({ name, counts }) => ({ name, cells: counts })),
    );
  }

  /** Row of the pipeline, by the name it has in outputs; undefined where there is none. O(pipelines). */
  pipeline(name: string): PipelineLedger | undefined {
    const found = this.#pipelines.find((pipeline) => pipeline.name === name);
    return found === undefined ? undefined : pipelineLedger({ name, cells: found.counts });
  }

  #sourceRows(): Row[] {
    const rows: Row[] = [];
    for (let source = 0; source < limits.sourcesMax; source++) {
      const cells = this.sources.subarray(source * SOURCE_CELLS, (source + 1) * SOURCE_CELLS);
      if (cells.some((cell) => cell !== 0)) {
        rows.push({ name: this.#catalog.source(sourceId(source)), cells });
      }
    }
    return rows;
  }
}

type Row = { readonly name: string; readonly cells: Float64Array };

/** Reads what `Ledger.encode` wrote; undefined where the bytes are none of this version. */
export function decodeLedger(bytes: Uint8Array): LedgerView | undefined {
  if (bytes.length < 12) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== VERSION) return undefined;
  const sourceCount = view.getUint32(4, true);
  const pipelineCount = view.getUint32(8, true);
  const rows: Row[] = [];
  let offset = 12;
  for (let i = 0; i < sourceCount + pipelineCount; i++) {
    if (offset + 4 > bytes.length) return undefined;
    const nameEnd = offset + 4 + view.getUint32(offset, true);
    const cells = new Float64Array(i < sourceCount ? SOURCE_CELLS : count.PIPELINE_CELLS);
    if (nameEnd + cells.length * 8 > bytes.length) return undefined;
    const name = new TextDecoder().decode(bytes.subarray(offset + 4, nameEnd));
    for (let c = 0; c < cells.length; c++) cells[c] = view.getFloat64(nameEnd + c * 8, true);
    rows.push({ name, cells });
    offset = nameEnd + cells.length * 8;
  }
  if (offset !== bytes.length) return undefined;
  return viewOf(rows.slice(0, sourceCount), rows.slice(sourceCount));
}

/** Name of the first row that is not the same in both; undefined where all are. */
export function differingRow(a: LedgerView, b: LedgerView): string | undefined {
  const rows = rowsByName(a);
  const others = rowsByName(b);
  return [...rows.keys(), ...others.keys()].find(
    (name) => !isDeepStrictEqual(rows.get(name), others.get(name)),
  );
}

function rowsByName(view: LedgerView): ReadonlyMap<string, SourceLedger | PipelineLedger> {
  return new Map<string, SourceLedger | PipelineLedger>([
    ...view.sources.map((row) => [`source ${row.source}`, row] as const),
    ...view.pipelines.map((row) => [`pipeline ${row.pipeline}`, row] as const),
  ]);
}

function viewOf(sourceRows: readonly Row[], pipelineRows: readonly Row[]): LedgerView {
  const sources = sourceRows.map(sourceLedger);
  const pipelines = pipelineRows.map(pipelineLedger);
  const balanced = [...sources, ...pipelines].every((row) => row.balanced);
  return { sources, pipelines, balanced };
}

function sourceLedger({ name, cells }: Row): SourceLedger {
  const decoded = cells[SOURCE_DECODED]!;
  const deadLettered = cells[SOURCE_DEAD_LETTERED]!;
  const shed = cells[SOURCE_SHED]!;
  const readings = {
    decoded: cells[SOURCE_READINGS]!,
    accepted: cells[SOURCE_ACCEPTED]!,
    duplicate: cells[SOURCE_DUPLICATE]!,
    quarantined: cells[SOURCE_QUARANTINED]!,
    rejected: cells[SOURCE_REJECTED]!,
    conflict: cells[SOURCE_CONFLICT]!,
  };
  const placed = readings.accepted + readings.duplicate + readings.quarantined + readings.rejected;
  return {
    source: name,
    messages: { received: decoded + deadLettered + shed, decoded, deadLettered, shed },
    readings,
    balanced: readings.decoded === placed,
  };
}

function pipelineLedger({ name, cells }: Row): PipelineLedger {
  const isOfWindows = cells[count.COUNT_WINDOWS]! > 0;
  const row = {
    pipeline: name,
    accepted: cells[count.COUNT_ACCEPTED]!,
    filtered: cells[count.COUNT_FILTERED]!,
    refused: cells[count.COUNT_REFUSED]!,
    late: cells[count.COUNT_LATE]!,
    open: cells[count.COUNT_OPEN]!,
    closed: cells[count.COUNT_CLOSED]!,
    windows: cells[count.COUNT_WINDOWS]!,
    corrections: cells[count.COUNT_CORRECTIONS]!,
    forced: cells[count.COUNT_FORCED]!,
    alerts: cells[count.COUNT_ALERTS]!,
    suppressed: isOfWindows ? 0 : cells[count.COUNT_SUPPRESSED]!,
    sketchesLost: isOfWindows ? cells[count.COUNT_SKETCHES_LOST]! : 0,
  };
  const placed = row.filtered + row.refused + row.late + row.open + row.closed;
  return { ...row, balanced: row.accepted === placed };
}
