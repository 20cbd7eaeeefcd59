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
  pingPacket,
  publishPacket,
  subscribePacket,
  turns,
} from "../../../../test/support/front-rig.ts";

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
    assert.equal(rig.front.status["pubacksDropped"], 1);
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
    peer.send(publishPacket("plant/a", "1", { qos: 2, id: 1 }));
    peer.send(publishPacket("plant/a", "2", { qos: 2, id: 2 }));
    await turns();
    commit(rig.front);
    await turns();
    assert.deepEqual(rig.receiver.payloads, []);
    assert.deepEqual(packetsIn(peer), []);
    rig.receiver.capacity = 2;
    rig.front.room();
    assert.deepEqual(rig.receiver.payloads, ["1"]);
    commit(rig.front);
    await turns();
    assert.deepEqual(namesOf(packetsIn(peer)), ["pubrec 1"]);
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
    peer.send(publishPacket("plant/a", "kept", { retain: true }));
    peer.send(publishPacket("plant/a", "", { retain: true }));
    await turns();
    peer.send(subscribePacket("plant/+"));
    await turns();
    assert.deepEqual(namesOf(packetsIn(peer)), ["suback 1"]);
    assert.deepEqual(rig.receiver.payloads, ["kept"]);
  });
});

describe("a full batch", () => {
  it("holds messages in order, answers PINGREQ once, and goes on when there is room", async () => {
    await using rig = await openRig();
    const peer = await connected(rig);
    rig.receiver.capacity = 1;
    const ids = [1, 2, 3, 4];
    for (const id of ids) peer.send(publishPacket("plant/a", `${id}`, { qos: 1, id }), pingPacket);
    assert.equal(namesOf(packetsIn(peer)).length, ids.length);
    for (let i = 0; i < ids.length; i++) {
      rig.receiver.capacity = 1;
      commit(rig.front);
    }
    assert.deepEqual(rig.receiver.payloads, ["1", "2", "3", "4"]);
    const answers = namesOf(packetsIn(peer));
    assert.equal(answers.filter((name) => name === "pingresp").length, ids.length);
    assert.deepEqual(
      answers.filter((name) => name !== "pingresp"),
      ["puback 1", "puback 2", "puback 3", "puback 4"],
    );
  });

  it("pauses a socket past its bound, forgets nothing, and reads on after room", async () => {
    await using rig = await openRig({ limits: { heldBytesPerConnectionMax: 1_000 } });
    const peer = await connected(rig);
    rig.receiver.capacity = 0;
    const payloads = Array.from({ length: 200 }, (_, i) => `${i} ${"x".repeat(50)}`);
    for (const [i, payload] of payloads.entries()) {
      peer.send(publishPacket("plant/a", payload, { qos: 1, id: i + 1 }));
    }
    assert.equal(peer.isPaused, true);
    assert.equal(rig.front.status["socketsPaused"], 1);
    assert.ok(rig.front.status["heldBytes"]! < 4_000);
    rig.receiver.capacity = 1_000;
    commit(rig.front);
    await turns();
    commit(rig.front);
    assert.deepEqual(rig.receiver.payloads, payloads);
    assert.equal(packetsIn(peer).length, payloads.length);
    assert.equal(rig.front.status["heldBytes"], 0);
    assert.equal(rig.front.status["socketsPaused"], 0);
  });

  it("gives each waiting connection its turn", async () => {
    await using rig = await openRig();
    const peers = [await connected(rig), await connected(rig), await connected(rig)];
    rig.receiver.capacity = 0;
    for (const [i, peer] of peers.entries()) {
      for (let n = 0; n < 3; n++) peer.send(publishPacket(`plant/${i}`, `${n}`));
    }
    for (let n = 0; n < 3; n++) {
      rig.receiver.capacity = 1;
      rig.front.room();
    }
    const topics = rig.receiver.received.map(({ topic }) => topic);
    assert.deepEqual(topics, ["plant/0", "plant/1", "plant/2"]);
  });

  it("stops reading from everyone when all together hold too much", async () => {
    await using rig = await openRig({ limits: { heldBytesMax: 2_000 } });
    const [busy, quiet] = [await connected(rig), await connected(rig)];
    rig.receiver.capacity = 0;
    busy.send(publishPacket("plant/a", "x".repeat(3_000), { qos: 1, id: 1 }));
    assert.equal(quiet.isPaused, true);
    rig.receiver.capacity = 10;
    commit(rig.front);
    assert.equal(quiet.isPaused, false);
    assert.equal(busy.isPaused, false);
  });

  it("sheds held QoS 0 messages of a client that leaves, counted", async () => {
    await using rig = await openRig();
    const peer = await connected(rig);
    rig.receiver.capacity = 0;
    peer.send(publishPacket("plant/a", "1"), publishPacket("plant/b", "2", { qos: 1, id: 1 }));
    peer.send(publishPacket("other/c", "3"), publishPacket("plant/d", "4"));
    peer.vanish();
    await turns();
    assert.deepEqual(rig.receiver.shedTopics, ["plant/a", "plant/d"]);
    assert.equal(rig.front.status["heldBytes"], 0);
  });
});

describe("limits", () => {
  it("a client with too many messages in flight waits for its acknowledgements", async () => {
    await using rig = await openRig({ limits: { inFlightPerConnectionMax: 2 } });
    const peer = await connected(rig);
    for (const id of [1, 2, 3]) peer.send(publishPacket("plant/a", `${id}`, { qos: 1, id }));
    assert.deepEqual(rig.receiver.payloads, ["1", "2"]);
    commit(rig.front);
    assert.deepEqual(rig.receiver.payloads, ["1", "2", "3"]);
  });

  it("so does one whose QoS 2 messages are in flight", async () => {
    await using rig = await openRig({ limits: { inFlightPerConnectionMax: 2 } });
    const peer = await connected(rig);
    for (const id of [1, 2, 3]) {
      peer.send(publishPacket("plant/a", `${id}`, { qos: 2, id }));
      await turns();
    }
    assert.deepEqual(rig.receiver.payloads, ["1", "2"]);
    commit(rig.front);
    await turns();
    assert.deepEqual(rig.receiver.payloads, ["1", "2", "3"]);
  });

  it("one client beyond the limit of connections is refused, counted", async () => {
    await using rig = await openRig({ limits: { connectionsMax: 1 } });
    await connected(rig);
    assert.equal(rig.net.connect().isClosed, true);
    assert.equal(rig.front.status["connectionsRefused"], 1);
  });

  it("a packet beyond the largest closes the connection, counted", async () => {
    await using rig = await openRig({ limits: { packetBytesMax: 500 } });
    const peer = await connected(rig);
    peer.send(publishPacket("plant/a", "x".repeat(600)).subarray(0, 100));
    assert.equal(peer.isClosed, true);
    assert.equal(rig.front.status["protocolError:packet_too_large"], 1);
  });

  it("a client that does not read what it subscribed to is closed", async () => {
    await using rig = await openRig({ limits: { outboundBytesPerConnectionMax: 1_000 } });
    const reader = await connected(rig);
    reader.send(subscribePacket("plant/#"));
    await turns();
    reader.fallAsleep();
    const peer = await connected(rig);
    for (let i = 0; i < 30; i++) peer.send(publishPacket("plant/a", "x".repeat(100)));
    await turns(100);
    assert.equal(reader.isClosed, true);
    assert.equal(rig.front.status["slowReaderCloses"], 1);
    assert.equal(rig.front.status["outboundBytes"], 0);
  });
});

describe("the protocol", () => {
  it("begins with CONNECT, and has one", async () => {
    await using rig = await openRig();
    const early = rig.net.connect();
    early.send(publishPacket("plant/a", "1"));
    assert.equal(early.isClosed, true);
    const twice = await connected(rig);
    twice.send(connectPacket());
    assert.equal(twice.isClosed, true);
    assert.equal(rig.front.status["protocolError:connect_expected"], 1);
    assert.equal(rig.front.status["protocolError:connect_repeated"], 1);
    assert.deepEqual(rig.receiver.received, []);
  });

  it("of version 5 is refused in its own words", async () => {
    await using rig = await openRig();
    const peer = rig.net.connect();
    const packet = connectPacket();
    packet[8] = 5;
    peer.send(packet);
    assert.deepEqual([...peer.received], [0x20, 3, 0, 0x84, 0]);
    assert.equal(peer.isClosed, true);
  });

  it("is the same wherever the bytes were split", async () => {
    await using rig = await openRig();
    const peer = await connected(rig);
    const bytes = Buffer.concat(
      [1, 2, 3].map((id) => publishPacket("plant/a", "x".repeat(id * 80), { qos: 1, id })),
    );
    for (const byte of bytes) peer.send(Buffer.from([byte]));
    commit(rig.front);
    assert.deepEqual(
      rig.receiver.payloads.map((p) => p.length),
      [80, 160, 240],
    );
    assert.deepEqual(namesOf(packetsIn(peer)), ["puback 1", "puback 2", "puback 3"]);
  });
});

describe("login", () => {
  const users = [{ name: "sensor", password: "right" }];

  it("what is sent behind CONNECT waits for the answer, and is dropped with a refusal", async () => {
    await using rig = await openRig({ users });
    const good = rig.net.connect();
    good.send(
      connectPacket({ username: "sensor", password: "right" }),
      publishPacket("plant/a", "good", { qos: 1, id: 1 }),
    );
    const bad = rig.net.connect();
    bad.send(
      connectPacket({ username: "sensor", password: "wrong" }),
      publishPacket("plant/a", "bad", { qos: 1, id: 1 }),
    );
    assert.deepEqual(rig.receiver.payloads, []);
    await turns();
    commit(rig.front);
    assert.deepEqual(rig.receiver.payloads, ["good"]);
    assert.deepEqual(namesOf(packetsIn(good)), ["connack", "puback 1"]);
    assert.deepEqual([...bad.received], [0x20, 2, 0, 4]);
    assert.equal(bad.isClosed, true);
    assert.equal(rig.front.status["loginsRefused"], 1);
  });

  it("without a name is refused as not authorised", async () => {
    await using rig = await openRig({ users });
    const peer = rig.net.connect();
    peer.send(connectPacket());
    await turns();
    assert.deepEqual([...peer.received], [0x20, 2, 0, 5]);
  });

  it("with the id of a client that is here closes the older one", async () => {
    await using rig = await openRig();
    const older = await connected(rig, { clientId: "same" });
    const newer = await connected(rig, { clientId: "same" });
    await turns();
    assert.equal(older.isClosed, true);
    newer.send(publishPacket("plant/a", "1", { qos: 1, id: 1 }));
    commit(rig.front);
    assert.deepEqual(namesOf(packetsIn(newer)), ["puback 1"]);
  });
});

describe("keep alive", () => {
  it("counts messages of the fast path, and closes after one and a half of silence", async () => {
    await using rig = await openRig();
    const peer = await connected(rig, { keepalive: 2 });
    for (let i = 0; i < 50; i++) {
      peer.send(publishPacket("plant/a", `${i}`));
      rig.clock.advance(200);
    }
    assert.equal(peer.isClosed, false);
    rig.clock.advance(2_900);
    assert.equal(peer.isClosed, false);
    rig.clock.advance(1_100);
    assert.equal(peer.isClosed, true);
    assert.equal(rig.front.status["keepAliveCloses"], 1);
  });

  it("does not blame a client that we did not read from, nor the time we stood still", async () => {
    await using rig = await openRig({ limits: { heldBytesPerConnectionMax: 100 } });
    const paused = await connected(rig, { keepalive: 2 });
    const idle = await connected(rig, { keepalive: 2 });
    rig.receiver.capacity = 0;
    paused.send(publishPacket("plant/a", "x".repeat(200)));
    rig.clock.freeze(60_000);
    rig.clock.advance(1_000);
    assert.equal(idle.isClosed, false);
    rig.clock.advance(60_000);
    assert.equal(paused.isClosed, false);
    assert.equal(idle.isClosed, true);
  });

  it("a client that never says who it is is closed", async () => {
    await using rig = await openRig();
    const peer = rig.net.connect();
    rig.clock.advance(20_000);
    assert.equal(peer.isClosed, true);
    assert.equal(rig.front.status["connectTimeouts"], 1);
  });
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
    const back = rig.net.connect();
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
    assert.equal(rig.front.status["subscriptions"], 0);
  });

  it("get what the agent itself publishes, which is not received", async () => {
    await using rig = await openRig();
    const reader = await connected(rig);
    reader.send(subscribePacket("plant/#"));
    await turns();
    reader.clear();
    rig.front.publish("plant/alert", Buffer.from("hot"), { retain: false });
    await turns();
    assert.deepEqual(namesOf(packetsIn(reader)), ["publish plant/alert hot"]);
    assert.deepEqual(rig.receiver.received, []);
  });
});

describe("the end", () => {
  it("acknowledges what was received before it closes", async () => {
    await using rig = await openRig();
    const peer = await connected(rig);
    peer.send(publishPacket("plant/a", "1", { qos: 1, id: 1 }));
    await rig.front.stopAccepting();
    assert.equal(rig.net.connect().isClosed, true);
    peer.send(publishPacket("plant/a", "2", { qos: 1, id: 2 }));
    commit(rig.front);
    await rig.front.close();
    assert.deepEqual(rig.receiver.payloads, ["1"]);
    assert.deepEqual(namesOf(packetsIn(peer)), ["puback 1"]);
    assert.equal(peer.isClosed, true);
  });
});
