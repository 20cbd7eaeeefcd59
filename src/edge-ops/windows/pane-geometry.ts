/**
 * How a tumbling or sliding window is cut into panes, the longest slices that no window's edge cuts:
 *
 *   paneMs = gcd(size, slide)      size 60 s, slide 10 s -> 10 s panes, 6 per window, 1 per slide
 *
 * and how many of them a key keeps: a window, what disorder and allowed lateness reach back, and some
 * slack for devices of one key that are not equally far.
 */

import { assert } from "../../core/assert.ts";
import { limits } from "../../core/limits.ts";
import type { WindowSpec } from "../spec.ts";

export type PaneGeometry = {
  readonly paneMs: number;
  /** Panes of one window, and from one window to the next. */
  readonly perWindow: number;
  readonly perSlide: number;
  /** Panes kept per key. */
  readonly ring: number;
};

type PaneWindowSpec = Exclude<WindowSpec, { kind: "session" }>;

/** How a window definition is cut into panes. `ring` is bounded by limits.panesPerKeyMax. */
export function paneGeometryOf(
  window: PaneWindowSpec,
  waits: { readonly disorderMs: number; readonly allowedLatenessMs: number },
): PaneGeometry {
  const { sizeMs } = window;
  const slideMs = window.kind === "sliding" ? window.slideMs : sizeMs;
  assert(sizeMs >= slideMs && slideMs >= 1, "windows follow each other without gaps");
  const paneMs = greatestCommonDivisor(sizeMs, slideMs);
  const perWindow = sizeMs / paneMs;
  assert(perWindow + 2 <= limits.panesPerKeyMax, "a window has fewer panes than a key may keep");
  const waited = Math.ceil((waits.disorderMs + waits.allowedLatenessMs) / paneMs);
  const wanted = perWindow + waited + limits.paneSlack;
  return {
    paneMs,
    perWindow,
    perSlide: slideMs / paneMs,
    ring: Math.min(wanted, limits.panesPerKeyMax),
  };
}

/** The first pane of the slide that `pane` is in. */
export function floorTo(pane: number, step: number): number {
  return step === 1 ? pane : Math.floor(pane / step) * step;
}

/** The first pane of a slide from `pane` on. */
export function ceilTo(pane: number, step: number): number {
  return step === 1 ? pane : Math.ceil(pane / step) * step;
}

/** A power of two of keys, about 256 panes together: 20 KB with every column. */
export function keysPerChunk(ring: number): number {
  return 2 ** Math.max(0, Math.floor(Math.log2(256 / ring)));
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
