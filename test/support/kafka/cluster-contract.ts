/**
 * What weir counts on Kafka for, as tests against `Cluster`: they hold for real brokers and for the
 * model that the simulations run on, so what the simulations show means something.
 *
 * Every test has topics, transactional ids and groups of its own, named by chance, so that one
 * cluster serves all of them and repeated runs. Kafka does some things a moment later (a topic is
 * announced, a transaction is completed): `eventually` asks again.
 *
 * Which error a request gives is asserted by name. They are those of the versions in
 * src/sync/kafka/requests.ts; later ones call a fenced producer PRODUCER_FENCED.
 */

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { errorOf } from "../../../src/sync/kafka/cluster.ts";
import {
  batchBytes,
  type ClusterUnderTest,
  ContractRig,
  eventually,
  refusal,
  rejection,
  timeoutMs,
  whileRefused,
} from "./cluster-contract-rig.ts";

/** What the tests run on; `undefined` where it is not here and the test is skipped. */
type SetUp = (t: TestContext) => Promise<ClusterUnderTest | undefined>;

export function clusterContract(name: string, setUp: SetUp): void {
  const claim = (what: string, run: (rig: ContractRig) => Promise<void>): void => {
    test(`${name}: ${what}`, async (t) => {
      const cluster = await setUp(t);
      if (cluster === undefined) return;
      const rig = new ContractRig(t, cluster);
      await rig.warmUp();
      await run(rig);
    });
  };
  incarnations(claim);
  transactions(claim);
  batches(claim);
  groups(claim);
  topics(claim);
  sessions(claim);
}

type Claim = (what: string, run: (rig: ContractRig) => Promise<void>) => void;

// ---- incarnations of a transactional id ----

function incarnations(claim: Claim): void {
  claim("init of a transactional id gives the next epoch of the same producer", async (rig) => {
    const cluster = await rig.session();
    const transactionalId = rig.name("txn");
    const first = await cluster.initProducer({ transactionalId, timeoutMs });
    const second = await cluster.initProducer({ transactionalId, timeoutMs });
    assert.equal(second.id, first.id);
    assert.equal(second.epoch, first.epoch + 1);
  });

  claim("transactional ids do not share a producer", async (rig) => {
    const one = await rig.producer();
    const other = await rig.producer();
    assert.notEqual(one.of.producer.id, other.of.producer.id);
  });

  claim("an older incarnation is fenced at every request", async (rig) => {
    const older = await rig.producer();
    const [at] = await rig.topic();
    const group = rig.name("group");
    await older.cluster.addPartitions(older.of, [at]);
    await older.cluster.produce([older.batch(at, { sequence: 0 })], older.of);
    await older.cluster.addGroup(older.of, group);
    await rig.producer(older.of.transactionalId);

    const { cluster, of } = older;
    const offset = { ...at, group, offset: 1, metadata: "" };
    const fenced = "INVALID_PRODUCER_EPOCH";
    assert.equal(await refusal(cluster.addPartitions(of, [at])), fenced);
    assert.equal(await refusal(cluster.addGroup(of, group)), fenced);
    assert.equal(await refusal(cluster.produce([older.batch(at, { sequence: 1 })], of)), fenced);
    assert.equal(await refusal(cluster.commitOffset(of, offset)), fenced);
    assert.equal(await refusal(cluster.endTransaction(of, "commit")), fenced);
    assert.equal(await refusal(cluster.endTransaction(of, "abort")), fenced);
  });

  claim("init aborts the transaction that an older incarnation left open", async (rig) => {
    const older = await rig.producer();
    const [at] = await rig.topic();
    await older.cluster.addPartitions(older.of, [at]);
    await older.cluster.produce([older.batch(at, { sequence: 0 })], older.of);

    const { transactionalId } = older.of;
    const cluster = await rig.session();
    const tooEarly = cluster.initProducer({ transactionalId, timeoutMs });
    assert.equal(await refusal(tooEarly), "CONCURRENT_TRANSACTIONS");
    const younger = await rig.producer(transactionalId);
    assert.equal(younger.of.producer.id, older.of.producer.id);
    assert.ok(younger.of.producer.epoch > older.of.producer.epoch);
    // By the time that init succeeds, the partition knows.
    assert.deepEqual(await rig.log(at), [{ values: ["0.0"] }, { control: "abort" }]);
  });

  claim("what was committed before stays when a new incarnation begins", async (rig) => {
    const older = await rig.producer();
    const [at] = await rig.topic();
    await older.transact(at, { sequence: 0 }, "commit");
    const younger = await rig.producer(older.of.transactionalId);
    await younger.transact(at, { sequence: 0 }, "commit");
    assert.deepEqual(await rig.log(at), [
      { values: ["0.0"] },
      { control: "commit" },
      { values: ["0.0"] },
      { control: "commit" },
    ]);
  });

  claim("a transactional id never seen is not mapped to a producer", async (rig) => {
    const { cluster, of } = await rig.producer();
    const [at] = await rig.topic();
    const stranger = { ...of, transactionalId: rig.name("txn") };
    const added = cluster.addPartitions(stranger, [at]);
    assert.equal(await refusal(added), "INVALID_PRODUCER_ID_MAPPING");
  });

  claim("a transaction timeout beyond what the cluster allows is refused", async (rig) => {
    const cluster = await rig.session();
    const hours = { transactionalId: rig.name("txn"), timeoutMs: 5 * 3_600_000 };
    assert.equal(await refusal(cluster.initProducer(hours)), "INVALID_TRANSACTION_TIMEOUT");
  });
}

// ---- transactions ----

function transactions(claim: Claim): void {
  claim("a transaction over several partitions ends with a marker in each", async (rig) => {
    const { cluster, of, batch } = await rig.producer();
    const [one, other] = await rig.topic();
    await cluster.addPartitions(of, [one, other]);
    const produced = await cluster.produce(
      [batch(one, { sequence: 0, count: 2 }), batch(other, { sequence: 0 })],
      of,
    );
    assert.deepEqual(
      produced.toSorted((a, b) => a.partition - b.partition),
      [
        { ...one, offset: 0 },
        { ...other, offset: 0 },
      ],
    );
    await cluster.endTransaction(of, "commit");
    const decided = { control: "commit" };
    await eventually(async () =>
      assert.deepEqual(await rig.log(one), [{ values: ["0.0", "0.1"] }, decided]),
    );
    await eventually(async () =>
      assert.deepEqual(await rig.log(other), [{ values: ["0.0"] }, decided]),
    );
  });

  claim("committed and aborted transactions follow one another in the log", async (rig) => {
    const producer = await rig.producer();
    const [at] = await rig.topic();
    await producer.transact(at, { sequence: 0 }, "commit");
    await producer.transact(at, { sequence: 1 }, "abort");
    await producer.transact(at, { sequence: 2 }, "commit");
    const ended = [
      { values: ["0.0"] },
      { control: "commit" },
      { values: ["1.0"] },
      { control: "abort" },
      { values: ["2.0"] },
      { control: "commit" },
    ];
    await eventually(async () => assert.deepEqual(await rig.log(at), ended));
    const { cluster, of } = producer;
    const { batches } = await cluster.fetch(at, { offset: 0, bytesMax: 100_000 });
    assert.ok(batches.every(({ producerId }) => producerId === of.producer.id));
    assert.ok(batches.every(({ isTransactional }) => isTransactional));
  });

  claim("batches of an open transaction can be read, undecided", async (rig) => {
    const { cluster, of, batch } = await rig.producer();
    const [at] = await rig.topic();
    await cluster.addPartitions(of, [at]);
    await cluster.produce([batch(at, { sequence: 0, count: 3 })], of);
    assert.deepEqual(await rig.log(at), [{ values: ["0.0", "0.1", "0.2"] }]);
    assert.deepEqual(await cluster.offsets(at), { first: 0, end: 3 });
  });

  claim("a partition that was not added takes no transactional batch", async (rig) => {
    const { cluster, of, batch } = await rig.producer();
    const [added, other] = await rig.topic();
    await cluster.addPartitions(of, [added]);
    const produced = cluster.produce([batch(other, { sequence: 0 })], of);
    assert.equal(await refusal(produced), "INVALID_TXN_STATE");
    assert.deepEqual(await rig.log(other), []);
  });

  claim("a partition may be added again", async (rig) => {
    const { cluster, of, batch } = await rig.producer();
    const [at] = await rig.topic();
    await cluster.addPartitions(of, [at]);
    await cluster.addPartitions(of, [at]);
    await cluster.produce([batch(at, { sequence: 0 })], of);
    await cluster.endTransaction(of, "commit");
  });

  claim("adding a missing topic names it and adds nothing", async (rig) => {
    const { cluster, of, batch } = await rig.producer();
    const [at] = await rig.topic();
    const missing = { topic: rig.name("missing"), partition: 0 };
    const fault = await rejection(cluster.addPartitions(of, [at, missing]));
    assert.equal(errorOf(fault), "UNKNOWN_TOPIC_OR_PARTITION");
    assert.match(fault.message, new RegExp(missing.topic));
    const produced = cluster.produce([batch(at, { sequence: 0 })], of);
    assert.equal(await refusal(produced), "INVALID_TXN_STATE");
  });

  claim("where nothing is open there is nothing to end", async (rig) => {
    const { cluster, of } = await rig.producer();
    assert.equal(await refusal(cluster.endTransaction(of, "commit")), "INVALID_TXN_STATE");
    assert.equal(await refusal(cluster.endTransaction(of, "abort")), "INVALID_TXN_STATE");
  });

  claim("a commit may be asked for again, and cannot be turned into an abort", async (rig) => {
    const producer = await rig.producer();
    const { cluster, of } = producer;
    const [at] = await rig.topic();
    await producer.transact(at, { sequence: 0 }, "commit");
    await whileRefused("CONCURRENT_TRANSACTIONS", () => cluster.endTransaction(of, "commit"));
    assert.equal(await refusal(cluster.endTransaction(of, "abort")), "INVALID_TXN_STATE");
    assert.deepEqual(await rig.log(at), [{ values: ["0.0"] }, { control: "commit" }]);
  });
}

// ---- record batches ----

function batches(claim: Claim): void {
  claim("a batch sent twice with the same sequence is stored once", async (rig) => {
    const { cluster, of, batch } = await rig.producer();
    const [at] = await rig.topic();
    await cluster.addPartitions(of, [at]);
    await cluster.produce([batch(at, { sequence: 0, count: 2 })], of);
    const next = batch(at, { sequence: 2, count: 2 });
    assert.deepEqual(await cluster.produce([next], of), [{ ...at, offset: 2 }]);
    assert.deepEqual(await cluster.produce([next], of), [{ ...at, offset: 2 }]);
    assert.deepEqual(await rig.log(at), [{ values: ["0.0", "0.1"] }, { values: ["2.0", "2.1"] }]);
  });

  claim("a gap in the sequence is refused and stores nothing", async (rig) => {
    const { cluster, of, batch } = await rig.producer();
    const [at] = await rig.topic();
    await cluster.addPartitions(of, [at]);
    await cluster.produce([batch(at, { sequence: 0 })], of);
    const produced = cluster.produce([batch(at, { sequence: 2 })], of);
    assert.equal(await refusal(produced), "OUT_OF_ORDER_SEQUENCE_NUMBER");
    assert.deepEqual(await rig.log(at), [{ values: ["0.0"] }]);
  });

  claim("sequences go on over transactions and begin anew with an incarnation", async (rig) => {
    const older = await rig.producer();
    const [at] = await rig.topic();
    await older.transact(at, { sequence: 0, count: 3 }, "commit");
    await older.transact(at, { sequence: 3 }, "commit");
    const { cluster, of, batch } = await rig.producer(older.of.transactionalId);
    await cluster.addPartitions(of, [at]);
    const asBefore = cluster.produce([batch(at, { sequence: 4 })], of);
    assert.equal(await refusal(asBefore), "OUT_OF_ORDER_SEQUENCE_NUMBER");
    await cluster.produce([batch(at, { sequence: 0 })], of);
  });

  claim("a damaged batch is refused", async (rig) => {
    const { cluster, of, batch } = await rig.producer();
    const [at] = await rig.topic();
    await cluster.addPartitions(of, [at]);
    const damaged = batch(at, { sequence: 0 });
    const last = damaged.bytes.length - 1;
    damaged.bytes[last] = (damaged.bytes[last] ?? 0) ^ 1;
    assert.equal(await refusal(cluster.produce([damaged], of)), "CORRUPT_MESSAGE");
    assert.deepEqual(await rig.log(at), []);
  });

  claim("batches without a producer are stored as often as they are sent", async (rig) => {
    const cluster = await rig.session();
    const [at] = await rig.topic();
    const plain = { ...at, bytes: batchBytes({ producer: undefined, sequence: 0, count: 1 }) };
    const outside = { transactionalId: undefined };
    assert.deepEqual(await cluster.produce([plain], outside), [{ ...at, offset: 0 }]);
    assert.deepEqual(await cluster.produce([plain], outside), [{ ...at, offset: 1 }]);
    const { batches } = await cluster.fetch(at, { offset: 0, bytesMax: 100_000 });
    assert.deepEqual(
      batches.map(({ isTransactional, control }) => ({ isTransactional, control })),
      [
        { isTransactional: false, control: undefined },
        { isTransactional: false, control: undefined },
      ],
    );
  });

  claim("fetch begins at the record asked for and says where to read on", async (rig) => {
    const producer = await rig.producer();
    const { cluster } = producer;
    const [at] = await rig.topic();
    await producer.transact(at, { sequence: 0, count: 3 }, "commit");
    await eventually(async () => assert.equal((await cluster.offsets(at)).end, 4));
    const middle = await cluster.fetch(at, { offset: 1, bytesMax: 100_000 });
    const offsets = middle.batches.flatMap(({ records }) => records.map(({ offset }) => offset));
    assert.deepEqual(offsets, [1, 2]);
    // An answer ends where a segment of the log does, so here or after the marker.
    assert.ok(middle.next === 3 || middle.next === 4);
    const end = await cluster.fetch(at, { offset: 4, bytesMax: 100_000 });
    assert.deepEqual(end, { batches: [], next: 4 });
    const beyond = cluster.fetch(at, { offset: 5, bytesMax: 100_000 });
    assert.equal(await refusal(beyond), "OFFSET_OUT_OF_RANGE");
  });

  claim("fetch gives one whole batch even where it is larger than asked", async (rig) => {
    const { cluster, of, batch } = await rig.producer();
    const [at] = await rig.topic();
    await cluster.addPartitions(of, [at]);
    await cluster.produce([batch(at, { sequence: 0, count: 5 })], of);
    await cluster.produce([batch(at, { sequence: 5, count: 5 })], of);
    const { batches, next } = await cluster.fetch(at, { offset: 0, bytesMax: 10 });
    assert.equal(batches.length, 1);
    assert.equal(next, 5);
  });

  claim("produce to a topic or partition that is missing is refused", async (rig) => {
    const { cluster, of, batch } = await rig.producer();
    const [at] = await rig.topic();
    const elsewhere = { topic: rig.name("missing"), partition: 0 };
    for (const missing of [elsewhere, { ...at, partition: 9 }]) {
      const produced = cluster.produce([batch(missing, { sequence: 0 })], of);
      assert.equal(await refusal(produced), "UNKNOWN_TOPIC_OR_PARTITION");
    }
  });
}

// ---- offsets of groups ----

function groups(claim: Claim): void {
  claim("an offset and its metadata are the group's once committed", async (rig) => {
    const { cluster, of } = await rig.producer();
    const [at, other] = await rig.topic();
    const group = rig.name("group");
    const committed = { ...at, offset: 42, metadata: '{"boot":"a"}' };
    await cluster.addGroup(of, group);
    await cluster.commitOffset(of, { ...committed, group });
    await cluster.endTransaction(of, "commit");
    await eventually(async () =>
      assert.deepEqual(await cluster.committedOffsets(group), [committed]),
    );
    assert.deepEqual(await cluster.committedOffsets(group, [at, other]), [committed]);
    assert.deepEqual(await cluster.committedOffsets(group, [other]), []);
  });

  claim("an aborted offset leaves the one before it", async (rig) => {
    const producer = await rig.producer();
    const [at] = await rig.topic();
    const group = rig.name("group");
    const kept = { ...at, offset: 1, metadata: "kept" };
    await producer.commitOffset(group, kept, "commit");
    await producer.commitOffset(group, { ...at, offset: 2, metadata: "undone" }, "abort");
    const { cluster } = producer;
    await eventually(async () => assert.deepEqual(await cluster.committedOffsets(group), [kept]));
  });

  claim("an undecided offset makes the group's offsets unstable", async (rig) => {
    const producer = await rig.producer();
    const [at] = await rig.topic();
    const group = rig.name("group");
    await producer.commitOffset(group, { ...at, offset: 1, metadata: "" }, "commit");
    await producer.commitOffset(group, { ...at, offset: 2, metadata: "" }, "open");
    const { cluster } = producer;
    assert.equal(await refusal(cluster.committedOffsets(group)), "UNSTABLE_OFFSET_COMMIT");
    const named = cluster.committedOffsets(group, [at]);
    assert.equal(await refusal(named), "UNSTABLE_OFFSET_COMMIT");
  });

  claim("a first offset that is undecided shows only to who names its partition", async (rig) => {
    const producer = await rig.producer();
    const [at] = await rig.topic();
    const group = rig.name("group");
    await producer.commitOffset(group, { ...at, offset: 1, metadata: "" }, "open");
    const { cluster } = producer;
    assert.deepEqual(await cluster.committedOffsets(group), []);
    const named = cluster.committedOffsets(group, [at]);
    assert.equal(await refusal(named), "UNSTABLE_OFFSET_COMMIT");
  });

  claim("a group nobody has committed to has no offsets", async (rig) => {
    const cluster = await rig.session();
    assert.deepEqual(await cluster.committedOffsets(rig.name("group")), []);
  });

  claim("a group that was not added takes no offset", async (rig) => {
    const { cluster, of } = await rig.producer();
    const [at] = await rig.topic();
    await cluster.addPartitions(of, [at]);
    const offset = { ...at, group: rig.name("group"), offset: 1, metadata: "" };
    assert.equal(await refusal(cluster.commitOffset(of, offset)), "INVALID_TXN_STATE");
  });

  claim("metadata has a bound", async (rig) => {
    const { cluster, of } = await rig.producer();
    const [at] = await rig.topic();
    const group = rig.name("group");
    await cluster.addGroup(of, group);
    const long = { ...at, group, offset: 1, metadata: "x".repeat(4_097) };
    assert.equal(await refusal(cluster.commitOffset(of, long)), "OFFSET_METADATA_TOO_LARGE");
    await cluster.commitOffset(of, { ...long, metadata: "x".repeat(4_096) });
  });
}

// ---- topics ----

function topics(claim: Claim): void {
  claim("a topic that is missing is left out and not created", async (rig) => {
    const cluster = await rig.session();
    const [{ topic }] = await rig.topic();
    const missing = rig.name("missing");
    for (let asked = 0; asked < 2; asked++) {
      assert.deepEqual(await cluster.partitionsOf([missing, topic]), new Map([[topic, 2]]));
    }
  });

  claim("a topic is created once", async (rig) => {
    const cluster = await rig.session();
    const [{ topic }] = await rig.topic();
    const again = cluster.createTopic({ topic, partitions: 1, replication: -1, config: {} });
    assert.equal(await refusal(again), "TOPIC_ALREADY_EXISTS");
  });

  claim("a topic has the settings it was created with", async (rig) => {
    const cluster = await rig.session();
    const topic = rig.name("topic");
    const config = { "cleanup.policy": "compact", "retention.ms": "1234567" };
    await cluster.createTopic({ topic, partitions: 1, replication: 1, config });
    await eventually(async () => {
      const names = ["cleanup.policy", "retention.ms", "no.such.setting"];
      assert.deepEqual(await cluster.topicConfig(topic, names), new Map(Object.entries(config)));
    });
  });

  claim("the settings of a missing topic are refused", async (rig) => {
    const cluster = await rig.session();
    const asked = cluster.topicConfig(rig.name("missing"), ["cleanup.policy"]);
    assert.equal(await refusal(asked), "UNKNOWN_TOPIC_OR_PARTITION");
  });
}

// ---- sessions ----

function sessions(claim: Claim): void {
  claim("sessions see the same cluster", async (rig) => {
    const [one, other] = [await rig.session(), await rig.session()];
    assert.equal(one.id, other.id);
    assert.notEqual(one.id, "");
  });

  claim("a closed session refuses whatever it is asked", async (rig) => {
    const cluster = await rig.session();
    const [at] = await rig.topic();
    await cluster.close();
    const transactionalId = rig.name("txn");
    for (const asked of [
      cluster.partitionsOf([at.topic]),
      cluster.fetch(at, { offset: 0, bytesMax: 1_000 }),
      cluster.initProducer({ transactionalId, timeoutMs }),
    ]) {
      assert.equal((await rejection(asked)).code, "UPLINK_UNREACHABLE");
    }
    await cluster.close();
  });
}
