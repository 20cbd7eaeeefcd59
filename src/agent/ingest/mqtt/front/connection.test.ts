import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  commit,
  connected,
  connectPacket,
  namesOf,
  openRig,
  packetsIn,
  pingPacket,
  publishPacket,
  subscribePacket,
  turns,
} from "../../../../../test/support/front-rig.ts";

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
    assert.equal(rig.front.status.socketsPaused, 1);
    assert.ok(rig.front.status.heldBytes < 4_000);
    rig.receiver.capacity = 1_000;
    commit(rig.front);
    await turns();
    commit(rig.front);
    assert.deepEqual(rig.receiver.payloads, payloads);
    assert.equal(packetsIn(peer).length, payloads.length);
    assert.equal(rig.front.status.heldBytes, 0);
    assert.equal(rig.front.status.socketsPaused, 0);
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
    assert.equal(rig.front.status.heldBytes, 0);
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
    assert.equal(rig.net.arrive().isClosed, true);
    assert.equal(rig.front.status.connectionsRefused, 1);
  });

  it("a packet beyond the largest closes the connection, counted", async () => {
    await using rig = await openRig({ limits: { packetBytesMax: 500 } });
    const peer = await connected(rig);
    peer.send(publishPacket("plant/a", "x".repeat(600)).subarray(0, 100));
    assert.equal(peer.isClosed, true);
    assert.equal(rig.front.status.protocolErrors.packet_too_large, 1);
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
    assert.equal(rig.front.status.slowReaderCloses, 1);
    assert.equal(rig.front.status.outboundBytes, 0);
  });
});

describe("the protocol", () => {
  it("begins with CONNECT, and has one", async () => {
    await using rig = await openRig();
    const early = rig.net.arrive();
    early.send(publishPacket("plant/a", "1"));
    assert.equal(early.isClosed, true);
    const twice = await connected(rig);
    twice.send(connectPacket());
    assert.equal(twice.isClosed, true);
    assert.equal(rig.front.status.protocolErrors.connect_expected, 1);
    assert.equal(rig.front.status.protocolErrors.connect_repeated, 1);
    assert.deepEqual(rig.receiver.received, []);
  });

  it("of a version to come is refused in the words of the last", async () => {
    await using rig = await openRig();
    const peer = rig.net.arrive();
    const packet = connectPacket();
    packet[8] = 6;
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
    const good = rig.net.arrive();
    good.send(
      connectPacket({ username: "sensor", password: "right" }),
      publishPacket("plant/a", "good", { qos: 1, id: 1 }),
    );
    const bad = rig.net.arrive();
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
    assert.equal(rig.front.status.loginsRefused, 1);
  });

  it("without a name is refused as not authorised", async () => {
    await using rig = await openRig({ users });
    const peer = rig.net.arrive();
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
    assert.equal(rig.front.status.keepAliveCloses, 1);
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
    const peer = rig.net.arrive();
    rig.clock.advance(20_000);
    assert.equal(peer.isClosed, true);
    assert.equal(rig.front.status.connectTimeouts, 1);
  });
});
