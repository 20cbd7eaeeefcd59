import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  commit,
  connected,
  connectPacket,
  disconnectPacket,
  namesOf,
  openRig,
  packetsIn,
  publishPacket,
  subscribePacket,
  turns,
} from "../../../../../test/support/front-rig.ts";

describe("acknowledgements", () => {
  it("are sent after the release of their batch and not before", async () => {
    await using rig = await openRig();
    const peer = await connected(rig);
    peer.send(publishPacket("plant/a", "1", { qos: 1, id: 7 }));
    rig.front.seal();
    peer.send(publishPacket("plant/a", "2", { qos: 1, id: 8 }));
    await turns();
    assert.deepEqual(packetsIn(peer), []);
    rig.front.release();
    assert.deepEqual(namesOf(packetsIn(peer)), ["puback 7"]);
    commit(rig.front);
    assert.deepEqual(namesOf(packetsIn(peer)), ["puback 7", "puback 8"]);
  });

  it("come in the order of their messages, in one write per connection and commit", async () => {
    await using rig = await openRig();
    const [one, two] = [await connected(rig), await connected(rig)];
    for (const id of [5, 3, 9]) {
      one.send(publishPacket("plant/a", `${id}`, { qos: 1, id }));
      two.send(publishPacket("plant/b", `${id}`, { qos: 1, id: id + 0x1200 }));
    }
    commit(rig.front);
    assert.deepEqual(namesOf(packetsIn(one)), ["puback 5", "puback 3", "puback 9"]);
    assert.deepEqual(namesOf(packetsIn(two)), ["puback 4613", "puback 4611", "puback 4617"]);
    assert.equal(one.writeCount, 1);
    assert.equal(two.writeCount, 1);
  });

  it("of a connection that is gone reach nobody", async () => {
    await using rig = await openRig({ limits: { connectionsMax: 2 } });
    const gone = await connected(rig);
    gone.send(publishPacket("plant/a", "1", { qos: 1, id: 7 }));
    gone.vanish();
    await turns();
    const next = await connected(rig);
    commit(rig.front);
    const after = await connected(rig);
    assert.deepEqual([...packetsIn(next), ...packetsIn(after)], []);
    assert.equal(rig.front.status.pubacksDropped, 1);
  });

  it("of one connection never reach another, though wills were asked about in between", async () => {
    await using rig = await openRig();
    const will = { topic: "plant/dead", payload: "gone" };
    for (let i = 0; i < 3; i++) {
      const dying = await connected(rig, { will });
      dying.vanish();
      await turns();
      commit(rig.front);
      await turns();
    }
    const peers = [await connected(rig), await connected(rig), await connected(rig)];
    for (const [i, peer] of peers.entries()) {
      peer.send(publishPacket("plant/a", "1", { qos: 1, id: i + 1 }));
    }
    commit(rig.front);
    assert.deepEqual(
      peers.map((peer) => namesOf(packetsIn(peer))),
      [["puback 1"], ["puback 2"], ["puback 3"]],
    );
  });

  it("are given up, and their connections closed, when the disk failed", async () => {
    await using rig = await openRig();
    const [owed, idle] = [await connected(rig), await connected(rig)];
    owed.send(publishPacket("plant/a", "1", { qos: 1, id: 7 }));
    rig.front.seal();
    rig.front.abandon();
    await turns();
    assert.equal(owed.isClosed, true);
    assert.equal(idle.isClosed, false);
    assert.deepEqual(packetsIn(owed), []);
    commit(rig.front);
    assert.deepEqual(packetsIn(owed), []);
  });

  it("of a topic that no source wants come from the broker at once", async () => {
    await using rig = await openRig();
    const peer = await connected(rig);
    peer.send(publishPacket("other/a", "1", { qos: 1, id: 7 }));
    await turns();
    assert.deepEqual(namesOf(packetsIn(peer)), ["puback 7"]);
    assert.deepEqual(rig.receiver.received, []);
  });

  it("of a topic that no source wants come also when many packets wait for the broker", async () => {
    await using rig = await openRig();
    const peer = await connected(rig);
    const ids = [1, 2, 3, 4, 5];
    for (const id of ids) {
      peer.send(publishPacket("other/a", "not asked for"));
      peer.send(publishPacket("other/a", "asked for", { qos: 1, id }));
    }
    await turns();
    assert.deepEqual(
      namesOf(packetsIn(peer)),
      ids.map((id) => `puback ${id}`),
    );
    assert.equal(peer.isClosed, false);
  });
});

describe("a QoS 2 message", () => {
  it("is answered with PUBREC only after the release of its batch", async () => {
    await using rig = await openRig();
    const peer = await connected(rig);
    peer.send(publishPacket("plant/a", "1", { qos: 2, id: 7 }));
    await turns();
    assert.deepEqual(rig.receiver.payloads, ["1"]);
    rig.front.seal();
    await turns();
    assert.deepEqual(packetsIn(peer), []);
    rig.front.release();
    await turns();
    assert.deepEqual(namesOf(packetsIn(peer)), ["pubrec 7"]);
  });

  it("that is sent again before its PUBREL is received once", async () => {
    await using rig = await openRig();
    const again = publishPacket("plant/a", "1", { qos: 2, id: 7, dup: true });
    const first = await connected(rig, { clientId: "c", clean: false });
    first.send(publishPacket("plant/a", "1", { qos: 2, id: 7 }), again);
    await turns();
    first.vanish();
    await turns();
    const second = await connected(rig, { clientId: "c", clean: false });
    second.send(again);
    await turns();
    commit(rig.front);
    await turns();
    second.send(again);
    await turns();
    assert.deepEqual(rig.receiver.payloads, ["1"]);
    assert.deepEqual(namesOf(packetsIn(second)), ["pubrec 7", "pubrec 7"]);
  });

  it("of a later clean session with the same packet id is a new message", async () => {
    await using rig = await openRig();
    const first = await connected(rig, { clientId: "c" });
    first.send(publishPacket("plant/a", "1", { qos: 2, id: 7 }));
    await turns();
    first.vanish();
    await turns();
    const second = await connected(rig, { clientId: "c" });
    commit(rig.front);
    await turns();
    second.send(publishPacket("plant/a", "2", { qos: 2, id: 7 }));
    await turns();
    assert.deepEqual(rig.receiver.payloads, ["1", "2"]);
  });

  it("waits for room when the batch is full, and is then received in order", async () => {
    await using rig = await openRig();
    const peer = await connected(rig);
    rig.receiver.capacity = 0;
    peer.send(
      publishPacket("plant/a", "1", { qos: 2, id: 1 }),
      publishPacket("plant/a", "2", { qos: 2, id: 2 }),
    );
    await turns();
    commit(rig.front);
    await turns();
    assert.deepEqual(rig.receiver.payloads, []);
    assert.deepEqual(packetsIn(peer), []);
    rig.receiver.capacity = 2;
    rig.front.room();
    commit(rig.front);
    await turns();
    assert.deepEqual(rig.receiver.payloads, ["1", "2"]);
    assert.deepEqual(namesOf(packetsIn(peer)), ["pubrec 1", "pubrec 2"]);
  });
});

describe("a will", () => {
  const will = { topic: "plant/dead", payload: "gone" };

  it("is received when its client vanishes, and published after the release", async () => {
    await using rig = await openRig();
    const reader = await connected(rig);
    reader.send(subscribePacket("plant/#"));
    await turns();
    reader.clear();
    const peer = await connected(rig, { will });
    peer.vanish();
    await turns();
    assert.deepEqual(rig.receiver.payloads, ["gone"]);
    assert.deepEqual(packetsIn(reader), []);
    commit(rig.front);
    await turns();
    assert.deepEqual(namesOf(packetsIn(reader)), ["publish plant/dead gone"]);
  });

  it("is not received after DISCONNECT, not even one that waited behind a full batch", async () => {
    await using rig = await openRig();
    const [plain, behind] = [await connected(rig, { will }), await connected(rig, { will })];
    plain.send(disconnectPacket);
    rig.receiver.capacity = 0;
    behind.send(publishPacket("plant/a", "1"), disconnectPacket);
    behind.vanish();
    await turns();
    rig.receiver.capacity = 10;
    commit(rig.front);
    await turns();
    assert.deepEqual(rig.receiver.payloads, []);
    assert.deepEqual(rig.receiver.shedTopics, ["plant/a"]);
  });
});

describe("a retained message", () => {
  it("is received, acknowledged after the release, and kept for later subscribers", async () => {
    await using rig = await openRig();
    const peer = await connected(rig);
    peer.send(publishPacket("plant/a", "kept", { qos: 1, id: 3, retain: true }));
    await turns();
    assert.deepEqual(packetsIn(peer), []);
    commit(rig.front);
    assert.deepEqual(namesOf(packetsIn(peer)), ["puback 3"]);
    const reader = await connected(rig);
    reader.send(subscribePacket("plant/+"));
    await turns();
    const received = namesOf(packetsIn(reader));
    assert.deepEqual(received, ["suback 1", "publish plant/a kept"]);
    assert.deepEqual(rig.receiver.payloads, ["kept"]);
  });

  it("that is empty takes the kept one back and is no reading", async () => {
    await using rig = await openRig();
    const peer = await connected(rig);
    peer.send(
      publishPacket("plant/a", "kept", { retain: true }),
      publishPacket("plant/a", "", { retain: true, qos: 1, id: 5 }),
    );
    await turns();
    peer.send(subscribePacket("plant/+"));
    await turns();
    assert.deepEqual(namesOf(packetsIn(peer)), ["puback 5", "suback 1"]);
    assert.deepEqual(rig.receiver.payloads, ["kept"]);
  });
});

it("a retained message that follows its taking back stays", async () => {
  await using rig = await openRig();
  const peer = await connected(rig);
  peer.send(
    publishPacket("plant/a", "", { retain: true }),
    publishPacket("plant/a", "kept", { retain: true }),
  );
  await turns();
  peer.send(subscribePacket("plant/+"));
  await turns();
  assert.deepEqual(namesOf(packetsIn(peer)), ["suback 1", "publish plant/a kept"]);
});

describe("subscribers", () => {
  it("get messages of the fast path, also sessions that were away", async () => {
    await using rig = await openRig();
    const reader = await connected(rig, { clientId: "r", clean: false });
    reader.send(subscribePacket("plant/+", 1, 1));
    await turns();
    const peer = await connected(rig);
    peer.send(publishPacket("plant/a", "here", { qos: 1, id: 1 }));
    await turns();
    assert.deepEqual(namesOf(packetsIn(reader)), ["suback 1", "publish plant/a here"]);
    reader.send(disconnectPacket);
    await turns();
    peer.send(publishPacket("plant/a", "away", { qos: 1, id: 2 }));
    await turns();
    const back = rig.net.arrive();
    back.send(connectPacket({ clientId: "r", clean: false }));
    await turns(30);
    const missed = namesOf(packetsIn(back)).filter((name) => name.startsWith("publish"));
    assert.ok(missed.includes("publish plant/a away"));
  });

  it("are counted only while they are there", async () => {
    await using rig = await openRig();
    const peer = await connected(rig);
    peer.send(subscribePacket("plant/#"));
    await turns();
    peer.send(disconnectPacket);
    await turns();
    assert.equal(rig.front.status.subscriptions, 0);
  });
});

describe("the end", () => {
  it("acknowledges what was received before it closes", async () => {
    await using rig = await openRig();
    const peer = await connected(rig);
    peer.send(publishPacket("plant/a", "1", { qos: 1, id: 1 }));
    await rig.front.stopAccepting();
    assert.equal(rig.net.arrive().isClosed, true);
    peer.send(publishPacket("plant/a", "2", { qos: 1, id: 2 }));
    commit(rig.front);
    await rig.front.close();
    assert.deepEqual(rig.receiver.payloads, ["1"]);
    assert.deepEqual(namesOf(packetsIn(peer)), ["puback 1"]);
    assert.equal(peer.isClosed, true);
  });
});
