/** A pause in the middle of transactions: they are committed, never aborted, and no session is lost. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { lanes } from "../../store/outbox/lane.ts";
import { startHalf, topics, UpstreamWorld } from "../../../test/support/kafka/upstream-half.ts";
import { assertExactlyOnce, received } from "../../../test/support/kafka/upstream-oracle.ts";

/** Requests of the transactions in which a pause may fall. */
const steps = ["AddPartitionsToTxn", "AddOffsetsToTxn", "Produce", "TxnOffsetCommit", "EndTxn"];

type Seen = {
  /** The request with which the pause came. */
  readonly at: string;
  /** Records that were out there before it, and when all was quiet in it. */
  readonly before: number;
  readonly paused: number;
};

/** A pause comes with the request of this number, from 1; undefined: there were fewer. */
async function pausedAt(number: number): Promise<Seen | undefined> {
  const world = new UpstreamWorld(1);
  const half = await startHalf(world);
  await half.emit({ summaries: 1, alerts: 1 });
  assert.ok(await world.until(() => half.isDone), "sessions are open");
  const count = (): number =>
    lanes.reduce((sum, lane) => sum + received(world.cluster, lane).length, 0);
  const before = count();
  let at: string | undefined;
  let requests = 0;
  let sessions = 0;
  let pausing: Promise<void> | undefined;
  world.fate = ({ request }) => {
    if (request === "InitProducerId") sessions += 1;
    requests += 1;
    if (requests === number) {
      at = request;
      pausing = half.drain.pause(["kafka"], undefined);
    }
    return "answer";
  };
  await half.emit({ summaries: 3, alerts: 2 });
  await world.pass(60_000);
  await pausing;
  if (at === undefined) return undefined;
  const paused = count();
  const sent = requests;
  await half.emit({ summaries: 2, alerts: 2 });
  // Longer than a transaction may take.
  await world.pass(3_600_000);
  assert.deepEqual([count(), requests], [paused, sent], `${at}: nothing begins`);
  await half.drain.resume(["kafka"]);
  assert.ok(await world.until(() => half.isDone), "it goes on");
  assertExactlyOnce(half, `a pause at ${at}`);
  const outcomes = Object.values(topics)
    .filter((topic) => world.cluster.hasTopic(topic))
    .flatMap((topic) => world.cluster.readAll(topic).map(({ outcome }) => outcome));
  assert.deepEqual(new Set(outcomes), new Set(["commit"]), `${at}: nothing is aborted`);
  assert.equal(sessions, 0, `${at}: no session is opened anew`);
  assert.deepEqual([half.incidents, half.status().failures], [0, 0]);
  await half.drain.close();
  return { at, before, paused };
}

test("wherever a pause falls in a transaction, that is committed, and nothing is twice or missing", async () => {
  const all: Seen[] = [];
  for (;;) {
    const seen = await pausedAt(all.length + 1);
    if (seen === undefined) break;
    all.push(seen);
  }
  assert.deepEqual(
    steps.filter((step) => all.some(({ at }) => at === step)),
    steps,
  );
  for (const { at, before, paused } of all) {
    assert.ok(paused > before, `${at}: what was under way got there`);
  }
  assert.ok(
    all.some(({ before, paused }) => paused < before + 5),
    "and a lane that had not begun did not begin",
  );
});
