/**
 * The slow path's last step: readings with paths become rows with series. New names get their ids,
 * and the route learns its slots, so that the next message of the topic can be scanned. All room is
 * asked for before anything is written.
 */

import { KIND_ARRIVAL_TIME, KIND_SEQUENCE, KIND_SYMBOL, rowsMaxOf } from "../../core/batch.ts";
import type { FlatMessage, FlatNode } from "./decode/flatten.ts";
import { type Names, REFUSED } from "./names.ts";
import { bytesOfTags, definitionOverheadBytes, type OpenFrame } from "./open-frame.ts";
import {
  metricOf,
  NO_PARENT,
  type Route,
  sequenceTarget,
  TARGET_IGNORED,
  TARGET_OBJECT,
  TARGET_REFUSED,
  TARGET_UNSEEN,
  timeTarget,
} from "./route.ts";
import { NO_SLOT, type Slots } from "./slots.ts";

/** What definitions may take in a frame, bytes per definition allowed; the frame's size counts on it. */
export const definitionBytesAverage = 128;

export type RowWriterOptions = {
  readonly names: Names;
  readonly slots: Slots;
  readonly definitionsPerFrameMax: number;
  /** The arrival time of the message being written, Millis. */
  readonly arrival: () => number;
};

export class RowWriter {
  readonly #options: RowWriterOptions;

  constructor(options: RowWriterOptions) {
    this.#options = options;
  }

  /** Whether `write` may be called: rows and definitions of these messages fit, whatever is new in them. */
  hasRoom(open: OpenFrame, route: Route, messages: readonly FlatMessage[]): boolean {
    const { definitionsPerFrameMax } = this.#options;
    let readings = 0;
    let bytes = bytesOfTags(route.tags) + definitionOverheadBytes;
    for (const { nodes } of messages) {
      for (const { path, content } of nodes) {
        if (content.kind !== "reading") continue;
        readings++;
        bytes += this.#definitionBytes(route, path, content.value);
      }
    }
    const { batch, definitionBytes, definitionCount } = open;
    if (readings === 0) return true;
    return (
      batch.rows + readings <= rowsMaxOf(batch) &&
      definitionCount + 2 * readings + 1 <= definitionsPerFrameMax &&
      definitionBytes + bytes <= definitionsPerFrameMax * definitionBytesAverage
    );
  }

  /** Adds the rows; the number of readings that were refused for cardinality or length. */
  write(open: OpenFrame, route: Route, messages: readonly FlatMessage[]): number {
    let rejected = 0;
    for (const message of messages) {
      const slots: number[] = [];
      for (const node of message.nodes) {
        const slot = this.#slotOf(route, message, node, slots);
        slots.push(slot);
        const target = this.#targetOf(route, node);
        learn(route, { slot, target, isValue: message.shape === "value" });
        if (node.content.kind !== "reading") continue;
        if (target < 0 || !this.#addRow(open, target, message, node.content.value)) rejected++;
      }
    }
    this.#options.slots.settle(route);
    return rejected;
  }

  /** At most what a reading of this path defines: a series and a symbol. */
  #definitionBytes(route: Route, path: string, value: number | string | boolean): number {
    const { names } = this.#options;
    const metric = metricOf(route, path);
    let bytes = 2 * definitionOverheadBytes;
    if (names.isMetric(metric)) bytes += Buffer.byteLength(metric);
    if (typeof value === "string" && names.isSymbol(value)) bytes += Buffer.byteLength(value);
    return bytes;
  }

  #slotOf(route: Route, message: FlatMessage, node: FlatNode, slots: readonly number[]): number {
    if (message.shape !== "object") return NO_SLOT;
    const parent = node.parent < 0 ? NO_PARENT : (slots[node.parent] ?? NO_SLOT);
    if (node.parent >= 0 && parent === NO_SLOT) return NO_SLOT;
    return this.#options.slots.slotOf(route, parent, node.key);
  }

  #targetOf(route: Route, { path, content }: FlatNode): number {
    switch (content.kind) {
      case "reading":
        return this.#seriesOf(route, path) ?? this.#refused();
      case "null":
        return TARGET_UNSEEN;
      case "object":
        return TARGET_OBJECT;
      case "ignored":
        return TARGET_IGNORED;
      case "time":
        return timeTarget(content.rank);
      case "sequence":
        return sequenceTarget(content.rank);
    }
  }

  /** A slot learns that it is refused only where that is for ever. */
  #refused(): number {
    return this.#options.names.isShort ? TARGET_UNSEEN : TARGET_REFUSED;
  }

  /** The series of a path; undefined: it is refused. A device is defined with its first series. */
  #seriesOf(route: Route, path: string): number | undefined {
    const { names } = this.#options;
    const metric = metricOf(route, path);
    route.device ??= names.findDevice(route.source, route.tags);
    if (route.device === undefined) {
      if (!names.roomForSeries || !names.isMetric(metric)) return undefined;
      route.device = names.device(route.source, route.tags);
      if (route.device === undefined) return undefined;
    }
    const series = names.series(route.device, metric);
    return series === REFUSED ? undefined : series;
  }

  #addRow(
    open: OpenFrame,
    series: number,
    message: FlatMessage,
    value: number | string | boolean,
  ): boolean {
    const isNumber = typeof value === "number";
    const stored = isNumber ? value : this.#options.names.symbol(String(value));
    if (!isNumber && stored === REFUSED) return false;

    const { batch } = open;
    const row = batch.rows++;
    const { time, sequence } = message;
    batch.series[row] = series;
    batch.time[row] = time ?? this.#options.arrival();
    batch.value[row] = stored;
    batch.sequence[row] = sequence ?? 0;
    batch.kind[row] =
      (isNumber ? 0 : KIND_SYMBOL) |
      (time === undefined ? KIND_ARRIVAL_TIME : 0) |
      (sequence === undefined ? 0 : KIND_SEQUENCE);
    return true;
  }
}

/** A slot learns what it is once; what differs later is left to the parser each time. */
function learn(
  route: Route,
  {
    slot,
    target,
    isValue,
  }: { readonly slot: number; readonly target: number; readonly isValue: boolean },
): void {
  if (isValue && route.isRemembered && route.valueTarget === TARGET_UNSEEN)
    route.valueTarget = target;
  if (slot !== NO_SLOT && route.targets[slot] === TARGET_UNSEEN) route.targets[slot] = target;
}
