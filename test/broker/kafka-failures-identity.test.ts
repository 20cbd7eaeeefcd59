/**
 * The failure table on Kafka itself, third part: who am I? A gateway's data is put back from a
 * backup, its cursors are gone, or two gateways have one name. Nothing comes twice under one outbox,
 * and what is not upstream is kept.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type OutputQueue, outputQueues } from "../../src/store/outbox/lane.ts";
import { begun, oneBroker, portion } from "../support/kafka/failure-rig.ts";
import {
  type HalfOptions,
  type Remains,
  startHalf,
  type UplinkHalf,
} from "../support/kafka/uplink-half.ts";
import {
  assertOnce,
  assertProven,
  readOutboxes,
  type Upstream,
} from "../support/kafka/upstream-records.ts";

for (const version of ["3.9", "4"] as const) {
  describe(`Kafka ${version}: a gateway`, () => {
    const broker = oneBroker({ version });

    it("put back from a backup makes the same records again: it catches up", async (t) => {
      const rig = await broker(t);
      if (rig === undefined) return;
      const of = { agent: "backup-same", bootstrap: rig.kafka.bootstrap };
      const original = await begun(of);
      const backup = original.backup();
      await original.emit(portion);
      await original.sent();
      original.crash();

      await using restored = await startHalf({
        ...of,
        remains: await grown(backup, of, "original"),
      });
      await restored.sent();
      assert.deepEqual(foundBy(restored), ["caught-up", "caught-up"]);
      for (const lane of outputQueues)
        assert.match(
          restored.told(lane),
          /its data is a restored copy; nothing is lost or repeated/,
        );
      await restored.emit(portion, "restored");
      await restored.sent();
      await assertOnce([restored], rig.kafka);
    });

    for (const { name, by } of [
      { name: "less", by: undefined },
      { name: "other", by: "restored" },
    ]) {
      it(`put back from a backup has ${name} records: it goes on as a new outbox`, async (t) => {
        const rig = await broker(t);
        if (rig === undefined) return;
        const of = { agent: `backup-${name}`, bootstrap: rig.kafka.bootstrap };
        const original = await begun(of);
        const backup = original.backup();
        await original.emit(portion);
        await original.sent();
        original.crash();

        const remains = by === undefined ? backup : await grown(backup, of, by);
        await using restored = await startHalf({ ...of, remains });
        await restored.emit(portion, "restored");
        await restored.sent();
        assert.deepEqual(foundBy(restored), ["forked", "forked"]);
        for (const lane of outputQueues)
          assert.match(restored.told(lane), /its data is a restored copy or a clone/);

        const upstream = await readOutboxes(of.agent, rig.kafka);
        for (const lane of outputQueues) {
          const common = backup.emitted[lane].length;
          const { old, fresh } = parted(upstream, { lane, at: common });
          assert.deepEqual(old, original.emitted[lane]);
          assert.deepEqual(fresh, restored.emitted[lane].slice(common));
        }
        await assertProven([of.agent], rig.kafka);
      });
    }

    it("whose cursor topic was deleted makes it again, goes on from here, and says so", async (t) => {
      const rig = await broker(t);
      if (rig === undefined) return;
      const { kafka } = rig;
      const topics = { alerts: "a7", summaries: "s7", cursors: "c7" };
      const of = { agent: "cursor-lost", bootstrap: kafka.bootstrap, topics };
      await using half = await begun(of);
      await kafka.deleteTopic(topics.cursors);
      await half.emit(portion);
      await half.sent();
      assert.deepEqual(foundBy(half), ["cursor-lost", "cursor-lost"]);

      const remains = half.crash();
      await kafka.deleteTopic(topics.cursors);
      await using again = await startHalf({ ...of, remains });
      await again.emit(portion);
      await again.sent();
      assert.deepEqual(foundBy(again), ["cursor-lost", "cursor-lost"]);
      for (const lane of outputQueues)
        assert.match(
          again.told(lane),
          /no cursor of cursor-lost any more: it was deleted, or its topic/,
        );
      await assertOnce([again], { bootstrap: kafka.bootstrap, topics });
    });

    for (const { name, isClone } of [
      { name: "a clone of it", isClone: true },
      { name: "another of the same name", isClone: false },
    ]) {
      it(`that runs beside ${name} halts when that one sends, and keeps its records`, async (t) => {
        const rig = await broker(t);
        if (rig === undefined) return;
        const of = { agent: `twin-${isClone}`, bootstrap: rig.kafka.bootstrap };
        await using elder = await begun(of);
        const remains = isClone ? { remains: elder.backup() } : {};
        await using younger = await startHalf({ ...of, ...remains });
        await younger.emit(portion, "younger");
        await younger.sent();
        for (let turn = 0; turn < 3; turn++) {
          await elder.emit(portion, "elder");
          await younger.emit(portion, "younger");
          await younger.sent();
        }
        await elder.until("it has halted", () => haltedLanes(elder).length === outputQueues.length);
        for (const lane of outputQueues) {
          assert.match(
            elder.status(lane).trouble ?? "",
            /another agent writes as twin-.*: sending stops here and records are kept/,
          );
        }
        assert.deepEqual(haltedLanes(younger), []);
        assertNothingLost(await readOutboxes(of.agent, rig.kafka), [elder, younger]);
        await assertProven([of.agent], rig.kafka);
      });
    }

    it("that begins together with another of its name: each lane stays with one of them", async (t) => {
      const rig = await broker(t);
      if (rig === undefined) return;
      const of = { agent: "twins", bootstrap: rig.kafka.bootstrap };
      await using one = await startHalf(of);
      await using two = await startHalf(of);
      const twins = [one, two] as const;
      for (let turn = 0; turn < 10; turn++) {
        await one.emit(portion, "one");
        await two.emit(portion, "two");
      }
      const isDecided = (lane: OutputQueue): boolean =>
        twins.filter((twin) => twin.status(lane).state === "halted").length === 1;
      await one.until("each lane is decided", () => outputQueues.every(isDecided));
      for (const lane of outputQueues) {
        const winner = twins.find((twin) => twin.status(lane).state !== "halted");
        assert(winner !== undefined);
        await winner.until("its lane is sent", () => winner.kept(lane).length === 0);
      }
      assertNothingLost(await readOutboxes(of.agent, rig.kafka), twins);
      await assertProven([of.agent], rig.kafka);
    });
  });
}

/** The remains with further records, emitted while no cluster could be reached. */
async function grown(remains: Remains, { agent }: HalfOptions, by: string): Promise<Remains> {
  const half = await startHalf({ agent, remains, bootstrap: "127.0.0.1:1" });
  await half.emit(portion, by);
  return half.crash();
}

function foundBy(half: UplinkHalf): readonly string[] {
  return outputQueues.map((lane) => half.found(lane));
}

function haltedLanes(half: UplinkHalf): readonly OutputQueue[] {
  return outputQueues.filter((lane) => half.status(lane).state === "halted");
}

/** What is upstream under the two outboxes of a lane, the second of which parted there. */
function parted(
  { outboxes, forkedFrom }: Upstream,
  { lane, at }: { readonly lane: OutputQueue; readonly at: number },
): { readonly old: readonly string[]; readonly fresh: readonly string[] } {
  const ids = [...outboxes[lane].keys()];
  assert.equal(ids.length, 2, "there are two outboxes");
  const [first] = ids.filter((id) => forkedFrom.includes(`${id}:${at}`));
  const [second] = ids.filter((id) => id !== first);
  assert(first !== undefined && second !== undefined, "one parted from the other");
  return {
    old: outboxes[lane].get(first) ?? [],
    fresh: outboxes[lane].get(second) ?? [],
  };
}

/** Each record is upstream under one outbox or more, or still kept by who has it. */
function assertNothingLost(upstream: Upstream, halves: readonly UplinkHalf[]): void {
  for (const lane of outputQueues) {
    const there = new Set([...upstream.outboxes[lane].values()].flat());
    for (const half of halves) {
      const kept = new Set(half.kept(lane));
      const lost = half.emitted[lane].filter((text) => !there.has(text) && !kept.has(text));
      assert.deepEqual(lost, [], lane);
    }
  }
}
