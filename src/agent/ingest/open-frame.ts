/**
 * One half of the intake: the frame that is being filled, or the one on its way to the log. Its
 * columns are made once and used again; the small lists are new for each frame, because the log may
 * look at them until it is done.
 */

import { type Batch, createBatch } from "../../core/batch.ts";
import type { DeadLetter, Definition, Frame, MessageCounts, Tags } from "../../core/frame.ts";
import { type Millis, sourceId } from "../../core/units.ts";

/** What a definition takes in a record besides its texts, bytes. */
export const definitionOverheadBytes = 16;

export type OpenFrameLimits = {
  readonly batchRowsMax: number;
  /** Sources that may be counted; their ids are below it. */
  readonly sources: number;
  readonly deadLettersPerFrameMax: number;
};

export class OpenFrame {
  readonly batch: Batch;
  readonly #limits: OpenFrameLimits;
  /** Of each source: messages and readings since the frame was opened. */
  readonly decoded: Uint32Array;
  readonly deadLettered: Uint32Array;
  readonly shed: Uint32Array;
  readonly rejected: Uint32Array;
  #definitions: Definition[] = [];
  #definitionBytes = 0;
  #deadLetters: DeadLetter[] = [];

  constructor(limits: OpenFrameLimits) {
    this.#limits = limits;
    this.batch = createBatch(limits.batchRowsMax);
    this.decoded = new Uint32Array(limits.sources);
    this.deadLettered = new Uint32Array(limits.sources);
    this.shed = new Uint32Array(limits.sources);
    this.rejected = new Uint32Array(limits.sources);
  }

  get definitionCount(): number {
    return this.#definitions.length;
  }
  /** About what the definitions take in a record. */
  get definitionBytes(): number {
    return this.#definitionBytes;
  }

  /** Whether anything at all is in it. */
  get hasWork(): boolean {
    return (
      this.batch.rows > 0 ||
      this.#definitions.length > 0 ||
      this.#counted(this.decoded) ||
      this.#counted(this.deadLettered) ||
      this.#counted(this.shed)
    );
  }

  define(definition: Definition): void {
    this.#definitions.push(definition);
    this.#definitionBytes += bytesOfDefinition(definition);
  }

  /** Whether there is room for another dead letter's bytes; without it the letter only counts. */
  get keepsLetters(): boolean {
    return this.#deadLetters.length < this.#limits.deadLettersPerFrameMax;
  }

  keepLetter(letter: DeadLetter): void {
    this.#deadLetters.push(letter);
  }

  /** The content as a frame; it shares the batch. */
  seal(clock: Millis, clockTrusted: boolean): Frame {
    return {
      clock,
      clockTrusted,
      definitions: this.#definitions,
      counts: this.#counts(),
      deadLetters: this.#deadLetters,
      batch: this.batch,
    };
  }

  /** Empty again. A frame that was sealed from it must not be used any more. */
  clear(): void {
    this.batch.rows = 0;
    this.decoded.fill(0);
    this.deadLettered.fill(0);
    this.shed.fill(0);
    this.rejected.fill(0);
    this.#definitions = [];
    this.#definitionBytes = 0;
    this.#deadLetters = [];
  }

  #counts(): MessageCounts[] {
    const counts: MessageCounts[] = [];
    for (let source = 0; source < this.decoded.length; source++) {
      const decoded = this.decoded[source]!;
      const deadLettered = this.deadLettered[source]!;
      const shed = this.shed[source]!;
      if (decoded + deadLettered + shed === 0) continue;
      const rejected = this.rejected[source]!;
      counts.push({ source: sourceId(source), decoded, deadLettered, shed, rejected });
    }
    return counts;
  }

  #counted(cells: Uint32Array): boolean {
    for (let source = 0; source < cells.length; source++) if (cells[source]! > 0) return true;
    return false;
  }
}

/** Bytes of the texts of a tag set. */
export function bytesOfTags(tags: Tags): number {
  let bytes = 0;
  for (const [name, value] of tags) bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 8;
  return bytes;
}

function bytesOfDefinition(definition: Definition): number {
  switch (definition.kind) {
    case "source":
      return definitionOverheadBytes + Buffer.byteLength(definition.name);
    case "device":
      return definitionOverheadBytes + bytesOfTags(definition.tags);
    case "series":
      return definitionOverheadBytes + Buffer.byteLength(definition.metric);
    case "symbol":
      return definitionOverheadBytes + Buffer.byteLength(definition.text);
    case "config":
      return definitionOverheadBytes + Buffer.byteLength(definition.json);
    case "posted":
      return 2 * definitionOverheadBytes + definition.key.length + definition.digest.length;
  }
}
