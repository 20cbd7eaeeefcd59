/**
 * Fresh first to Kafka on a model of a cluster: outages long enough that summaries are put behind, and
 * wherever a crash falls, a read_committed consumer has every record once, each lane in order, corrections
 * behind what they correct.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { millis } from "../../src/core/units.ts";
import { OutboxWriter } from "../../src/store/outbox/outbox.ts";
import { encodeSummary } from "../../src/store/outbox/record-codec.ts";
import { below } from "../support/seeded-random.ts";
import { eachSeed, reachesAll, seedCount } from "../support/seeds.ts";
import {
  type HalfOptions,
  topics,
  UpstreamHalf,
  UpstreamWorld,
} from "../support/kafka/upstream-half.ts";
import { assertExactlyOnce, received } from "../support/kafka/upstream-oracle.ts";

const freshForMs = 5_000;
const total = 40;
const uplink = { freshForMs, batchBytesMax: 1_500 };

/** Emits through an outage or two and crashes at call `crashAt`; goes on until all is out. */
async function runWithCrash(
  seed: number,
  crashAt: number,
): Promise<{ readonly crashes: number; readonly behind: number }> {
  const world = new UpstreamWorld(seed * 1_000_003 + crashAt);
  let options: HalfOptions = { crashAt, uplink };
  for (let crashes = 0; ; crashes++) {
    const half = new UpstreamHalf(world, options);
    if ((await Promise.race([emitAll(half), half.crashed])) !== "crashed") {
      assertExactlyOnce(half, `crash at call ${crashAt}, seed ${seed}`);
      await half.drain.close();
      return { crashes, behind: received(world.cluster, "backfill").length };
    }
    await world.quiet();
    const again = crashes === 0 ? { crashAt: 1 + below(world.random, 40) } : {};
    options = { ...half.remains, ...again, uplink };
  }
}

async function emitAll(half: UpstreamHalf): Promise<void> {
  const { world } = half;
  const { random } = world;
  await half.start();
  if (below(random, 2) === 0) await world.quiet();
  while (half.store.span("summaries").next < total) {
    const left = total - half.store.span("summaries").next;
    await half.emit({ summaries: Math.min(left, below(random, 6)), alerts: below(random, 2) });
    const isAway = below(random, 3) > 0;
    world.fate = () => (isAway ? "lose-request" : "answer");
    if (below(random, 10) < 7) await world.quiet();
    if (below(random, 4) === 0) await world.pass(below(random, 5_000));
  }
  world.fate = () => "answer";
  assert.ok(
    await world.until(() => half.isDone),
    `all is out in the end: ${half.status().trouble}`,
  );
}

test("each record is in Kafka exactly once over both lanes, wherever a crash falls", async (t) => {
  const rounds = Math.ceil(seedCount / 20);
  let crashes = 0;
  let behind = 0;
  await eachSeed(t, rounds, async (seed) => {
    for (let crashAt = 1; ; crashAt++) {
      const found = await runWithCrash(seed, crashAt);
      behind += found.behind;
      if (found.crashes === 0) break;
      crashes += 1;
    }
  });
  assert.ok(crashes > rounds * 25, `${crashes} crash points`);
  if (reachesAll) assert.ok(behind > crashes, `${behind} records were behind`);
});

function summary(window: number, revision: number): Uint8Array {
  return encodeSummary("gw1", {
    kind: "summary",
    pipeline: "temp",
    key: [["device", "p1"]],
    start: millis(window * 1_000),
    end: millis((window + 1) * 1_000),
    revision,
    count: revision + 1,
    fields: {},
    arrivalTimed: 0,
  });
}

test("over outages, cuts and crashes a consumer has the revisions of a window in order", async (t) => {
  let corrected = 0;
  await eachSeed(t, Math.ceil(seedCount / 2), async (seed) => {
    const world = new UpstreamWorld(seed);
    const { random } = world;
    const revisions = new Map<number, number>();
    let half = await new UpstreamHalf(world, { uplink }).start();
    let newest = 0;
    for (let round = 0; round < 60; round++) {
      const outbox = new OutboxWriter();
      for (let count = below(random, 5); count > 0; count--) {
        newest += below(random, 3);
        const window = Math.max(0, newest - (below(random, 2) === 0 ? 0 : below(random, 12)));
        const revision = revisions.get(window) ?? 0;
        revisions.set(window, revision + 1);
        outbox.add("summaries", summary(window, revision));
      }
      await half.commit(outbox);
      const way = below(random, 4);
      world.fate = () =>
        way < 2 ? "answer" : way === 2 || below(random, 2) === 0 ? "lose-request" : "lose-answer";
      if (below(random, 2) === 0) await world.pass(below(random, 4_000));
      if (below(random, 8) > 0) continue;
      half.crash();
      const { image } = half;
      await world.quiet();
      half = await new UpstreamHalf(world, { image, uplink }).start();
    }
    world.fate = () => "answer";
    assert.ok(await world.until(() => half.isDone), `seed ${seed}: ${half.status().trouble}`);
    world.cluster.settle();
    const next = new Map<number, number>();
    for (const { value, headers } of world.cluster.readCommitted(topics.summaries)) {
      const record: { readonly start: number; readonly revision: number } = JSON.parse(value ?? "");
      const window = record.start / 1_000;
      assert.equal(record.revision, next.get(window) ?? 0, `seed ${seed}: window ${window}`);
      next.set(window, record.revision + 1);
      if (record.revision > 0 && String(headers["ce_id"]).includes(":backfill:")) corrected += 1;
    }
    assert.equal(next.size, revisions.size);
    for (const [window, count] of revisions) {
      assert.equal(next.get(window), count, `seed ${seed}: window ${window} is there`);
    }
    assert.equal(half.incidents, 0);
    await half.drain.close();
  });
  if (reachesAll) assert.ok(corrected > 0, "some corrections were behind");
});
