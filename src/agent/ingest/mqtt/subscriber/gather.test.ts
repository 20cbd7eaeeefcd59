import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Gather } from "./gather.ts";

/** Lets messages come evenly and reads them as the gather has it; tells reads and the longest pause. */
function play(
  gather: Gather,
  { perSecond, seconds, quota }: { perSecond: number; seconds: number; quota: number },
): { readonly reads: number; readonly pauseMsMax: number } {
  const everyMs = 1_000 / perSecond;
  let reads = 0;
  let pauseMsMax = 0;
  let read = 0; // messages so far
  for (let now = 0; now < seconds * 1_000; ) {
    const come = Math.floor(now / everyMs) + 1;
    const pauseMs = gather.pauseAfter(come - read, { quota, now });
    reads += 1;
    read = come;
    pauseMsMax = Math.max(pauseMsMax, pauseMs);
    now = Math.max(now + pauseMs, come * everyMs);
  }
  return { reads, pauseMsMax };
}

describe("a gather", () => {
  it("reads a busy broker some hundred times a second, however much it sends", () => {
    for (const perSecond of [2_000, 8_000, 50_000]) {
      const { reads, pauseMsMax } = play(new Gather(), { perSecond, seconds: 2, quota: 1_000 });
      assert.ok(reads <= 2 * 300, `${perSecond} a second: ${reads} reads`);
      assert.ok(pauseMsMax <= 5, `${pauseMsMax} ms`);
    }
  });

  it("reads slow sensors at once", () => {
    for (const perSecond of [1, 100, 600]) {
      const { reads, pauseMsMax } = play(new Gather(), { perSecond, seconds: 2, quota: 1_000 });
      assert.equal(pauseMsMax, 0);
      assert.ok(reads >= 2 * perSecond);
    }
  });

  it("never keeps a broker waiting that sends only a few before it waits for us", () => {
    const { pauseMsMax } = play(new Gather(), { perSecond: 8_000, seconds: 1, quota: 20 });
    assert.equal(pauseMsMax, 0);
  });

  it("stops pausing when the broker calms down", () => {
    const gather = new Gather();
    play(gather, { perSecond: 8_000, seconds: 1, quota: 1_000 });
    gather.pauseAfter(1, { quota: 1_000, now: 2_000 });
    assert.equal(gather.pauseAfter(1, { quota: 1_000, now: 2_010 }), 0);
    assert.equal(gather.pauseAfter(1, { quota: 1_000, now: 2_020 }), 0);
  });
});
