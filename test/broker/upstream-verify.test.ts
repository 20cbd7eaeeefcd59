/**
 * `weir upstream verify` and `weir tail --kafka` on a real cluster: what is upstream after deaths of
 * the agent is proven; a topic with one record less, one twice or one other value is not, by name.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  begun,
  type FailureRig,
  inTime,
  once,
  oneBroker,
  openCluster,
  portion,
  steps,
} from "../support/kafka/failure-rig.ts";
import { readCommitted, type ReadRecord, writeRecord } from "../support/kafka/kcat.ts";
import { startHalf, topicNames } from "../support/kafka/uplink-half.ts";
import { sampleRecord } from "../support/kafka/sample-record.ts";
import { millis } from "../../src/core/units.ts";
import { decodeRecord, encodeComplete } from "../../src/store/outbox/record-codec.ts";
import { type Outcome, weir } from "../support/weir-command.ts";

const { alerts, summaries, cursors } = topicNames;

async function verify(
  { kafka }: FailureRig,
  agent: string,
  topics: readonly string[],
): Promise<Outcome> {
  const named = topics.flatMap((topic) => ["--topic", topic]);
  const where = ["--kafka", kafka.bootstrap, "--cursors", cursors, "--agent", agent];
  return await weir("upstream", "verify", ...where, ...named);
}

/** Of a transaction. */
const deadly = steps.slice(steps.indexOf("AddPartitionsToTxn"));

/** An agent that died when the answer to each step was lost, and sent everything in the end. */
async function survivor(rig: FailureRig, agent: string): Promise<void> {
  const of = { agent, bootstrap: rig.proxy.bootstrap };
  let half = await begun(of);
  for (const step of deadly) {
    const { promise, resolve } = Promise.withResolvers<void>();
    once(rig.proxy, { step, side: "response" }, () => {
      resolve();
      return "cut";
    });
    await half.emit(portion);
    await inTime(`the answer to ${step} is lost`, promise);
    const remains = half.crash();
    half = await startHalf({ ...of, remains });
    await half.sent();
  }
  await half[Symbol.asyncDispose]();
}

/** The agent's summaries once more in a topic of their own, as `change` makes of them. */
async function copied(
  { kafka: { bootstrap } }: FailureRig,
  { agent, topic }: { readonly agent: string; readonly topic: string },
  change: (records: readonly ReadRecord[]) => readonly ReadRecord[],
): Promise<void> {
  const cluster = await openCluster(bootstrap);
  await cluster.createTopic({ topic, partitions: 1, replication: 1, config: {} });
  await cluster.close();
  const read = await readCommitted({ bootstrap, topic: summaries });
  const own = read.filter(({ headers }) => headers["ce_source"] === `/weir/${agent}`);
  for (const { key = "", value = "", headers } of change(own.toSorted(byNumber))) {
    await writeRecord({ bootstrap, topic }, { key, value, headers });
  }
}

function byNumber(a: ReadRecord, b: ReadRecord): number {
  return numberOf(a) - numberOf(b);
}

function numberOf({ headers }: ReadRecord): number {
  return Number(headers["ce_id"]?.split(":")[2]);
}

describe("what is upstream", () => {
  const broker = oneBroker({ version: "4" });

  it("is proven after deaths at the steps of a transaction, and followed with a word for each record", async (t) => {
    const rig = await broker(t);
    if (rig === undefined) return;
    await survivor(rig, "gw1");
    const { code, out, output } = await verify(rig, "gw1", [alerts, summaries]);
    assert.equal(code, 0, output);
    const count = portion.summaries * (deadly.length + 1);
    assert.match(
      out,
      new RegExp(`summaries \\w{8} in summaries: ${count} records 0 to ${count - 1}, each once`),
    );
    assert.match(out, new RegExp(`digest equal to \\d+ cursors?, the last at ${count}\\n`));
    assert.match(out, /alerts \w{8} in alerts: 12 records 0 to 11, each once/);
    assert.match(out, new RegExp(`pipeline temp: 4 keys, ${count} windows, ${count} readings`));

    const tail = ["--kafka", rig.kafka.bootstrap, "--topic", summaries, "--all", "--no-follow"];
    const chosen = ["--agent", "gw1", "--pipeline", "te*", "--key", "by=original,device=d1"];
    const followed = await weir("tail", ...tail, ...chosen);
    assert.equal(followed.code, 0, followed.output);
    const lines = followed.out.trimEnd().split("\n");
    assert.equal(lines.length, Math.floor((count + 2) / 4));
    for (const line of lines)
      assert.match(line, /gw1\/temp by=original,device=d1 {2}count 1 .* fresh$/);

    const nowhere = await weir("tail", ...tail, "--topic", "nowhere");
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.error, /the cluster has no topic nowhere/);
    // Of those of an agent that nobody configured, none is here.
    const unnamed = ["--kafka", rig.kafka.bootstrap, "--all", "--no-follow"];
    const none = await weir("tail", ...unnamed);
    assert.equal(none.code, 1, none.output);
    assert.match(none.error, /the cluster has none of weir\.summaries, weir\.alerts, weir\.raw/);
  });

  it("is not proven with a hole, a repetition or another value, which are named", async (t) => {
    const rig = await broker(t);
    if (rig === undefined) return;
    const agent = "gw2";
    const half = await begun({ agent, bootstrap: rig.proxy.bootstrap });
    await half.emit({ summaries: 15 });
    await half.sent();
    await half[Symbol.asyncDispose]();

    await copied(rig, { agent, topic: "same" }, (records) => records);
    const same = await verify(rig, agent, [alerts, "same"]);
    assert.equal(same.code, 0, same.output);

    const nowhere = await verify(rig, agent, [alerts, "nowhere"]);
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.error, /the cluster has no topic nowhere/);

    await copied(rig, { agent, topic: "hole" }, (records) => records.toSpliced(7, 1));
    const hole = await verify(rig, agent, [alerts, "hole"]);
    assert.equal(hole.code, 1);
    assert.match(
      hole.error,
      /gw2: hole\/0 at offset 7: record \w{32}:summaries:7: expected every number up to 19, found 8 after 6/,
    );

    await copied(rig, { agent, topic: "twice" }, (records) => [...records, ...records.slice(3, 4)]);
    const twice = await verify(rig, agent, [alerts, "twice"]);
    assert.equal(twice.code, 1);
    assert.match(twice.error, /twice\/0 at offset 20: record \w{32}:summaries:3: expected/);

    await copied(rig, { agent, topic: "changed" }, (records) =>
      records.map((record) =>
        numberOf(record) === 11
          ? {
              ...record,
              value: String(record.value).replace('"arrivalTimed":0', '"arrivalTimed":1'),
            }
          : record,
      ),
    );
    const changed = await verify(rig, agent, [alerts, "changed"]);
    assert.equal(changed.code, 1);
    assert.match(
      changed.error,
      /changed\/0 at offset 19: record \w{32}:summaries:19: expected the digest \w{32} .* a value from 5 to 19 is not what was sent/,
    );
  });

  it("is not proven where it does not add up to a completeness marker", async (t) => {
    const rig = await broker(t);
    if (rig === undefined) return;
    const agent = "gw3";
    const half = await startHalf({ agent, bootstrap: rig.proxy.bootstrap });
    const records = Array.from({ length: 8 }, (_, number) =>
      sampleRecord({ agent, lane: "summaries", number, by: "gw3" }),
    );
    const windows = records.map((record) => decodeRecord(record, "a sample").record);
    const [first] = windows;
    assert.ok(first?.kind === "summary");
    const marker = (through: number, readings: number): Uint8Array =>
      encodeComplete(agent, {
        kind: "complete",
        pipeline: first.pipeline,
        key: first.key,
        through: millis(through),
        readings,
      });
    // Every fourth window is of one key, and has one reading.
    await half.emitRecords("summaries", [...records, marker(first.end + 4_000, 2)]);
    await half.sent();
    const right = await verify(rig, agent, [alerts, summaries]);
    assert.equal(right.code, 0, right.output);
    assert.match(
      right.out,
      /sums as 1 completeness marker said, 2 readings by the last of each key/,
    );

    await half.emitRecords("summaries", [marker(first.end + 8_000, 3)]);
    await half.sent();
    await half[Symbol.asyncDispose]();
    const wrong = await verify(rig, agent, [alerts, summaries]);
    assert.equal(wrong.code, 1);
    assert.match(
      wrong.error,
      /gw3: summaries\/\d at offset \d+: record \w{32}:summaries:9: expected 3 readings in all windows of gw3\/temp\/by=gw3,device=d0 that end by \d+, found 2/,
    );
  });
});
