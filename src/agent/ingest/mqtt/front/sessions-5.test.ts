import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  connack5Of,
  connect5Packet,
  type Connect5Options,
  connected5,
  packet5,
  packets5In,
  publish5,
  publishesIn,
  subscribe5,
  subscribed5,
  wordsOf,
} from "../../../../../test/support/five-rig.ts";
import {
  commit,
  connected,
  openRig,
  type Rig,
  turns,
} from "../../../../../test/support/front-rig.ts";
import type { SimulatedPeer } from "../../../../../test/support/simulated-net.ts";

function kept(seconds: number, clean = false, more: Connect5Options = {}): Connect5Options {
  const properties = { sessionExpiryInterval: seconds };
  return { clientId: "r", clean, properties, ...more };
}

async function gone(peer: SimulatedPeer): Promise<void> {
  peer.vanish();
  await turns();
}

/** Publishes to `other/a`, of no source. */
async function publishOther(rig: Rig, payload: string): Promise<void> {
  const peer = await connected5(rig);
  peer.send(publish5("other/a", payload, { qos: 1, messageId: 1 }));
  await turns();
  await gone(peer);
}

/** What a client that comes back as this finds. */
async function back(
  rig: Rig,
  options: Connect5Options,
): Promise<{
  readonly present: boolean;
  readonly payloads: readonly string[];
  peer: SimulatedPeer;
}> {
  const peer = rig.net.arrive();
  peer.send(connect5Packet(options));
  await turns(30);
  const [connack] = packets5In(peer);
  assert.ok(connack?.cmd === "connack" && connack.reasonCode === 0);
  const payloads = publishesIn(peer).map(({ payload }) => payload.toString());
  return { present: connack.sessionPresent, payloads, peer };
}

describe("a session of MQTT 5", () => {
  it("outlives its connection for as long as it says, with what waits for it", async () => {
    await using rig = await openRig();
    const reader = await subscribed5(
      await connected5(rig, kept(60)),
      subscribe5("other/#", { qos: 1, subscriptionId: 7 }),
    );
    await gone(reader);
    await publishOther(rig, "1");
    rig.clock.advance(50_000);
    const { present, payloads, peer } = await back(rig, kept(60));
    assert.equal(present, true);
    assert.deepEqual(payloads, ["1"]);
    assert.equal(publishesIn(peer)[0]!.properties?.subscriptionIdentifier, 7);
    await gone(peer);
    rig.clock.advance(61_000);
    await turns();
    assert.equal(rig.front.status.sessions, 0);
    assert.equal(rig.front.status.subscriptions, 0);
    await publishOther(rig, "2");
    const later = await back(rig, kept(60));
    assert.deepEqual([later.present, later.payloads], [false, []]);
  });

  it("that has no subscription is present all the same [MQTT-3.2.2-2]", async () => {
    await using rig = await openRig();
    await gone(await connected5(rig, kept(60)));
    assert.equal((await back(rig, kept(60))).present, true);
  });

  it("ends with its connection where it says nothing", async () => {
    await using rig = await openRig();
    const reader = await subscribed5(
      await connected5(rig, { clientId: "r", clean: false }),
      subscribe5("other/#", { qos: 1 }),
    );
    await gone(reader);
    const at0 = await back(rig, { clientId: "r", clean: false });
    assert.equal(at0.present, false);
    assert.equal(rig.front.status.subscriptions, 0);
  });

  it("is begun anew by Clean Start, and kept from then on [MQTT-3.1.2-4]", async () => {
    await using rig = await openRig();
    const reader = await subscribed5(
      await connected5(rig, kept(60)),
      subscribe5("other/#", { qos: 1 }),
    );
    await gone(reader);
    await publishOther(rig, "1");
    const fresh = await back(rig, kept(60, true));
    assert.deepEqual([fresh.present, fresh.payloads], [false, []]);
    assert.equal(rig.front.status.subscriptions, 0);
    await gone(fresh.peer);
    assert.equal((await back(rig, kept(60))).present, true);
  });

  it("that goes on under Clean Start 0 without expiry ends with that connection", async () => {
    await using rig = await openRig();
    await gone(
      await subscribed5(await connected5(rig, kept(60)), subscribe5("other/#", { qos: 1 })),
    );
    await publishOther(rig, "1");
    const last = await back(rig, { clientId: "r", clean: false });
    assert.deepEqual([last.present, last.payloads], [true, ["1"]]);
    await gone(last.peer);
    rig.clock.advance(2_000);
    await turns();
    assert.equal(rig.front.status.subscriptions, 0);
  });

  it("is told how long it gets, where that is less than it asked for", async () => {
    await using rig = await openRig({
      limits: { sessionExpirySecondsMax: 100, sessionsKeptMax: 1 },
    });
    const { connack } = await connack5Of(rig, kept(0xffff_ffff));
    assert.equal(connack.properties?.sessionExpiryInterval, 100);
    const beyond = await connack5Of(rig, { ...kept(50), clientId: "beyond" });
    assert.equal(beyond.connack.properties?.sessionExpiryInterval, 0);
  });

  it("may be given another end by DISCONNECT, but not where it had none [3.14.2.2.2]", async () => {
    await using rig = await openRig();
    const leave = (sessionExpiryInterval: number): Buffer =>
      packet5({ cmd: "disconnect", reasonCode: 0, properties: { sessionExpiryInterval } });
    const shortened = await connected5(rig, kept(600));
    shortened.send(leave(5));
    await turns();
    rig.clock.advance(7_000);
    await turns();
    assert.equal(rig.front.status.sessions, 0);
    const none = await connected5(rig);
    none.send(leave(5));
    await turns();
    assert.deepEqual(wordsOf(none), ["disconnect 130"]);
  });

  it("of a client that comes back with 3.1.1 is that client's, for good", async () => {
    await using rig = await openRig();
    await gone(
      await subscribed5(await connected5(rig, kept(5)), subscribe5("other/#", { qos: 1 })),
    );
    const old = await connected(rig, { clientId: "r", clean: false });
    await gone(old);
    rig.clock.advance(60_000);
    await turns();
    assert.equal(rig.front.status.subscriptions, 1);
  });

  it("knows a QoS 2 message again, and a new session does not [MQTT-4.3.3-10]", async () => {
    await using rig = await openRig();
    const message = publish5("plant/a", "1", { qos: 2, messageId: 7, dup: true });
    const first = await connected5(rig, kept(60));
    first.send(message);
    await turns();
    await gone(first);
    const second = await connected5(rig, kept(60));
    second.send(message);
    await turns();
    assert.deepEqual(rig.receiver.payloads, ["1"]);
    const third = await connected5(rig, kept(60, true));
    third.send(publish5("plant/a", "another", { qos: 2, messageId: 7 }));
    await turns();
    assert.deepEqual(rig.receiver.payloads, ["1", "another"]);
    commit(rig.front);
    await turns();
    assert.deepEqual(wordsOf(third), ["pubrec 7"]);
    third.send(publish5("plant/a", "another", { qos: 2, messageId: 7, dup: true }));
    await turns();
    commit(rig.front);
    assert.deepEqual(rig.receiver.payloads, ["1", "another"]);
  });
});

describe("a will of MQTT 5", () => {
  function dying(delay: number, more: Connect5Options = {}): Connect5Options {
    const properties = { willDelayInterval: delay, contentType: "obituary" };
    const will = {
      topic: "plant/dead",
      payload: Buffer.from("gone"),
      qos: 1 as const,
      retain: false,
    };
    return { ...kept(60), will: { ...will, properties }, ...more };
  }

  async function wills(rig: Rig, ms: number): Promise<readonly string[]> {
    rig.clock.advance(ms);
    await turns();
    commit(rig.front);
    await turns();
    return rig.receiver.payloads;
  }

  it("comes when its delay is over, with its properties", async () => {
    await using rig = await openRig();
    const reader = await subscribed5(await connected5(rig), subscribe5("#", { qos: 1 }));
    await gone(await connected5(rig, dying(10)));
    assert.deepEqual(await wills(rig, 8_000), []);
    assert.deepEqual(await wills(rig, 4_000), ["gone"]);
    const [will] = publishesIn(reader);
    assert.equal(will?.properties?.contentType, "obituary");
  });

  it("does not come when the session goes on in time [MQTT-3.1.3-9]", async () => {
    await using rig = await openRig();
    await gone(await connected5(rig, dying(10)));
    rig.clock.advance(5_000);
    const again = await connected5(rig, kept(60));
    assert.deepEqual(await wills(rig, 20_000), []);
    await gone(again);
    assert.deepEqual(await wills(rig, 20_000), []);
  });

  it("does not come when the session goes on at once, over a connection still there", async () => {
    await using rig = await openRig();
    await connected5(rig, dying(10));
    await connected5(rig, kept(60));
    assert.deepEqual(await wills(rig, 20_000), []);
  });

  it("comes at once when the session is begun anew, or ends before", async () => {
    await using rig = await openRig();
    await gone(await connected5(rig, dying(10)));
    await connected5(rig, kept(60, true));
    assert.deepEqual(await wills(rig, 0), ["gone"]);
    await gone(
      await connected5(rig, {
        ...dying(100),
        clientId: "short",
        properties: { sessionExpiryInterval: 3 },
      }),
    );
    assert.deepEqual(await wills(rig, 5_000), ["gone", "gone"]);
  });

  it("comes at once without a delay, and after DISCONNECT 0x04; not after 0x00", async () => {
    await using rig = await openRig();
    await gone(await connected5(rig, dying(0)));
    assert.deepEqual(await wills(rig, 0), ["gone"]);
    const asks = await connected5(rig, { ...dying(0), clientId: "asks" });
    asks.send(packet5({ cmd: "disconnect", reasonCode: 4 }));
    await turns();
    assert.deepEqual(await wills(rig, 0), ["gone", "gone"]);
    const leaves = await connected5(rig, { ...dying(5), clientId: "leaves" });
    leaves.send(packet5({ cmd: "disconnect", reasonCode: 0 }));
    await turns();
    assert.deepEqual(await wills(rig, 20_000), ["gone", "gone"]);
  });

  it("is not delayed where too many are", async () => {
    await using rig = await openRig({ limits: { willsDelayedMax: 0 } });
    await gone(await connected5(rig, dying(10)));
    assert.deepEqual(await wills(rig, 0), ["gone"]);
  });
});
