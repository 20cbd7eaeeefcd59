/**
 * One direction of one connection through a fault proxy: bytes from a socket, held until they have
 * arrived, to another. Bounded: with too much under way it reads no more, and the sender feels it.
 */

import type { Socket } from "node:net";
import { assert } from "../../../core/assert.ts";
import { type FaultLine, segmentBytes } from "./fault-line.ts";
import { isFair, type Weather } from "./weather.ts";

/** Under way in one direction of a connection; then its sender waits. */
const flowBytesMax = 65_536;

type Segment = { readonly bytes: Uint8Array; readonly dueAt: number };

export type FlowParts = {
  readonly from: Socket;
  readonly to: Socket;
  readonly line: FaultLine;
  readonly weather: () => Weather;
  /** Told of bytes as they arrive. */
  readonly arrived: (bytes: number) => void;
};

export class FaultFlow {
  readonly #parts: FlowParts;
  readonly #segments: Segment[] = [];
  #bytes = 0;
  #dueLast = 0;
  #hasEnded = false;
  #isOver = false;
  /** The other side takes nothing more for now. */
  #isFull = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: FlowParts) {
    this.#parts = parts;
    parts.from.on("data", (chunk: Uint8Array) => this.#take(chunk));
    parts.from.on("end", () => {
      this.#hasEnded = true;
      this.turn();
    });
    parts.to.on("drain", () => {
      this.#isFull = false;
      this.turn();
    });
  }

  close(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#segments.length = 0;
  }

  /** Gives on what has arrived. To be called when the weather has changed, too. */
  turn(): void {
    clearTimeout(this.#timer);
    const { from, to, weather, arrived } = this.#parts;
    if (this.#isOver || weather().passage !== "open") return;
    const now = performance.now();
    for (let next = this.#segments[0]; next !== undefined && !this.#isFull; ) {
      if (next.dueAt > now) {
        this.#timer = setTimeout(() => this.turn(), next.dueAt - now);
        break;
      }
      this.#segments.shift();
      this.#bytes -= next.bytes.length;
      this.#isFull = !to.write(next.bytes);
      arrived(next.bytes.length);
      next = this.#segments[0];
    }
    if (this.#bytes < flowBytesMax && !this.#isFull) from.resume();
    if (this.#hasEnded && this.#segments.length === 0) to.end();
  }

  #take(chunk: Uint8Array): void {
    const { from, line, weather } = this.#parts;
    if (this.#isOver) return;
    const now = performance.now();
    const current = weather();
    // What comes while nothing passes is on its way when it passes again: its sender repeats it.
    const step = isFair(current) ? chunk.length : segmentBytes;
    assert(step > 0, "a chunk has bytes");
    for (let at = 0; at < chunk.length; at += step) {
      const bytes = chunk.subarray(at, at + step);
      const dueAt = isFair(current) ? now : line.arrival(now, bytes.length, current);
      this.#dueLast = Math.max(this.#dueLast, dueAt);
      this.#segments.push({ bytes, dueAt: this.#dueLast });
      this.#bytes += bytes.length;
    }
    if (this.#bytes >= flowBytesMax) from.pause();
    this.turn();
  }
}
