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
  turns,
} from "../../../../../test/support/front-rig.ts";

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => String(from + index));

describe("a connection that brings more than its rate", () => {
  it("waits and loses nothing; what fits in a second comes at once", async () => {
    await using rig = await openRig({ limits: { messagesPerSecondMax: 10 } });
    const peer = await connected(rig);
    peer.send(...numbers(0, 30).map((n) => publishPacket("plant/a", n)));
    assert.deepEqual(rig.receiver.payloads, numbers(0, 10));
    for (const [seconds, count] of [
      [0.5, 15],
      [1, 25],
      [1, 30],
    ] as const) {
      for (let ms = 0; ms < seconds * 1_000; ms += 10) rig.clock.advance(10);
      await turns(2);
      assert.deepEqual(rig.receiver.payloads, numbers(0, count));
    }
    assert.ok(rig.front.status.rateWaits > 0);
    assert.equal(rig.front.status.heldBytes, 0);
  });

  it("by bytes waits as well, and a message larger than a second's bytes comes all the same", async () => {
    await using rig = await openRig({ limits: { bytesPerSecondMax: 1_000 } });
    const peer = await connected(rig);
    peer.send(
      publishPacket("plant/a", "x".repeat(3_000)),
      publishPacket("plant/a", "1"),
      publishPacket("plant/a", "2"),
    );
    assert.equal(rig.receiver.received.length, 1);
    rig.clock.advance(2_000);
    await turns(2);
    assert.equal(rig.receiver.received.length, 1);
    rig.clock.advance(50);
    await turns(2);
    assert.equal(rig.receiver.received.length, 3);
  });

  it("is answered its pings, is read no further than its bound, and holds up nobody", async () => {
    await using rig = await openRig({
      limits: { messagesPerSecondMax: 1, heldBytesPerConnectionMax: 200 },
    });
    const [loud, calm] = [await connected(rig), await connected(rig)];
    loud.send(...numbers(0, 40).map((n) => publishPacket("plant/a", n)), pingPacket);
    calm.send(publishPacket("plant/b", "calm"));
    assert.deepEqual(rig.receiver.payloads, ["0", "calm"]);
    assert.equal(loud.isPaused, true);
    assert.deepEqual(namesOf(packetsIn(loud)), ["pingresp"]);
    assert.equal(calm.isPaused, false);
  });

  it("does not pay twice for a message that also waited for room", async () => {
    await using rig = await openRig({ limits: { messagesPerSecondMax: 3 } });
    const peer = await connected(rig);
    rig.receiver.capacity = 0;
    peer.send(...numbers(0, 3).map((n) => publishPacket("plant/a", n)));
    for (let n = 0; n < 10; n++) rig.front.room();
    rig.receiver.capacity = 10;
    rig.front.room();
    assert.deepEqual(rig.receiver.payloads, ["0", "1", "2"]);
  });
});

it("the connections of one user share its rate", async () => {
  await using rig = await openRig({
    users: [
      { name: "pump", password: "p" },
      { name: "other", password: "o" },
    ],
    accessLimits: { userMessagesPerSecondMax: 4 },
  });
  const pump = { username: "pump", password: "p" };
  const [one, two] = [await connected(rig, pump), await connected(rig, pump)];
  const other = await connected(rig, { username: "other", password: "o" });
  one.send(...numbers(0, 3).map((n) => publishPacket("plant/a", n)));
  two.send(...numbers(10, 13).map((n) => publishPacket("plant/a", n)));
  other.send(publishPacket("plant/a", "other"));
  assert.deepEqual(rig.receiver.payloads, ["0", "1", "2", "10", "other"]);
});

describe("turns", () => {
  it("are so many packets each, however much lies in one read", async () => {
    await using rig = await openRig({ limits: { turnMessagesMax: 4 } });
    const [loud, calm] = [await connected(rig), await connected(rig)];
    loud.send(...numbers(0, 10).map((n) => publishPacket("plant/a", n)));
    calm.send(publishPacket("plant/b", "calm"));
    assert.deepEqual(rig.receiver.payloads, ["0", "1", "2", "3", "calm"]);
    await turns();
    assert.deepEqual(rig.receiver.payloads.slice(5), numbers(4, 10));
  });

  it("alternate between those who wait for room", async () => {
    await using rig = await openRig({ limits: { turnMessagesMax: 2 } });
    const [loud, calm] = [await connected(rig), await connected(rig)];
    rig.receiver.capacity = 0;
    loud.send(...numbers(0, 6).map((n) => publishPacket("plant/a", n)));
    calm.send(...numbers(10, 12).map((n) => publishPacket("plant/b", n)));
    rig.receiver.capacity = 100;
    rig.front.room();
    assert.deepEqual(rig.receiver.payloads, ["0", "1", "10", "11"]);
    await turns();
    assert.deepEqual(rig.receiver.payloads.slice(4), ["2", "3", "4", "5"]);
  });

  it("end with a read that was full: the socket is read again after the others", async () => {
    await using rig = await openRig({ limits: { turnBytesMax: 8 * 1_024 } });
    const peer = await connected(rig);
    peer.send(...numbers(0, 3).map((n) => publishPacket("plant/a", n.repeat(4_000))));
    assert.equal(rig.receiver.received.length, 2);
    assert.equal(peer.isPaused, true);
    await turns();
    assert.equal(rig.receiver.received.length, 3);
    assert.equal(peer.isPaused, false);
  });
});

it("one connection fills no more than its share of a batch, and goes on with the next", async () => {
  await using rig = await openRig({ limits: { shareMessagesMax: 5 } });
  const [loud, calm] = [await connected(rig), await connected(rig)];
  loud.send(...numbers(0, 12).map((n) => publishPacket("plant/a", n)));
  calm.send(publishPacket("plant/b", "calm"));
  assert.deepEqual(rig.receiver.payloads, [...numbers(0, 5), "calm"]);
  for (const count of [10, 12]) {
    commit(rig.front);
    await turns();
    assert.equal(rig.receiver.received.length, count + 1);
  }
});

describe("an address", () => {
  it("has so many connections", async () => {
    await using rig = await openRig({ limits: { connectionsPerAddressMax: 2 } });
    const [first] = [await connected(rig), await connected(rig)];
    const unwelcome = rig.net.arrive();
    unwelcome.send(connectPacket());
    await turns();
    assert.equal(unwelcome.received.length, 0);
    rig.clock.advance(1_000);
    assert.equal(unwelcome.isClosed, true);
    assert.equal(rig.net.arrive({ host: "10.0.0.2" }).isClosed, false);
    first.vanish();
    await turns();
    assert.equal(rig.net.arrive().isClosed, false);
    assert.equal(rig.front.status.connectionsLimited, 1);
  });

  it("that has enough keeps few sockets beyond, and those are closed at the end", async () => {
    await using rig = await openRig({ limits: { connectionsPerAddressMax: 1, unwelcomeMax: 2 } });
    await connected(rig);
    const [one, two, three] = [rig.net.arrive(), rig.net.arrive(), rig.net.arrive()];
    assert.deepEqual([one.isClosed, two.isClosed, three.isClosed], [true, false, false]);
    await rig.front.stopAccepting();
    assert.deepEqual([two.isClosed, three.isClosed], [true, true]);
  });

  it("opens so many connections at a time, then a few per second", async () => {
    await using rig = await openRig({ limits: { connectsBurstMax: 3, connectsPerSecondMax: 2 } });
    const arrive = async (host: string) => {
      const before = rig.front.status.connectionsLimited;
      rig.net.arrive({ host }).vanish();
      await turns(2);
      return rig.front.status.connectionsLimited === before;
    };
    const burst = [];
    for (let n = 0; n < 5; n++) burst.push(await arrive("10.0.0.1"));
    assert.deepEqual(burst, [true, true, true, false, false]);
    assert.equal(await arrive("10.0.0.2"), true);
    rig.clock.advance(500);
    assert.deepEqual([await arrive("10.0.0.1"), await arrive("10.0.0.1")], [true, false]);
  });
});
