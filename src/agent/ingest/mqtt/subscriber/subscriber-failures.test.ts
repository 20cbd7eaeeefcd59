import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addressOf,
  openSubscriberRig,
  type SubscriberRig,
  wordsOf,
} from "../../../../../test/support/subscriber-rig.ts";

type Options = Parameters<typeof openSubscriberRig>[0];

async function running(options: Options = {}): Promise<SubscriberRig> {
  const rig = openSubscriberRig(options);
  await rig.settle();
  assert.equal(rig.subscriber.state, "running");
  return rig;
}

/** What was said on the last connection. */
function said({ broker }: SubscriberRig): readonly string[] {
  return wordsOf(broker.end.packets);
}

async function cut(rig: SubscriberRig): Promise<void> {
  rig.broker.end.peer.vanish();
  await rig.settle();
}

test("a connection that breaks is made anew, and a session that is still there is not subscribed again", async () => {
  const rig = await running();
  await rig.pass(20_000);
  await cut(rig);
  assert.equal(rig.subscriber.state, "waiting");
  await rig.pass(1_000);
  assert.equal(rig.subscriber.state, "running");
  assert.equal(rig.broker.ends.length, 2);
  assert.deepEqual(said(rig), ["connect"]);
  const { counters, sessionPresent } = rig.subscriber.status;
  assert.deepEqual([counters.reconnects, counters.sessionsLost, sessionPresent], [1, 0, true]);
});

test("a session that the broker lost is counted, and subscribed anew", async () => {
  const rig = await running();
  await cut(rig);
  rig.broker.hasSession = false;
  await rig.pass(1_000);
  assert.equal(rig.subscriber.state, "running");
  assert.equal(rig.subscriber.status.counters.sessionsLost, 1);
  assert.deepEqual(said(rig).slice(0, 2), ["connect", "subscribe plant/+ plant/+/+"]);
});

test("what a lost session had on its way to the disk says nothing about the same id of the next one", async () => {
  const rig = await running();
  rig.broker.end.publish("plant/p1", "old", { qos: 2, id: 5 });
  rig.subscriber.seal();
  await cut(rig);
  rig.broker.hasSession = false;
  await rig.pass(1_000);
  rig.broker.end.publish("plant/p1", "new", { qos: 2, id: 5 });
  rig.subscriber.release(); // of the old one
  await cut(rig);
  await rig.pass(2_000);
  rig.broker.end.publish("plant/p1", "new", { qos: 2, id: 5, dup: true });
  assert.deepEqual(said(rig), ["connect"], "it is not durable yet");
  rig.commit();
  assert.deepEqual(said(rig), ["connect", "pubrec 5"]);
  assert.deepEqual(rig.receiver.payloads, ["old", "new"]);
});

test("a session that was lost while we were not running is counted too", async () => {
  const known = await running({ isKnown: true });
  assert.equal(known.subscriber.status.counters.sessionsLost, 1);
  const fresh = await running();
  assert.equal(fresh.subscriber.status.counters.sessionsLost, 0);
  const clean = await running({ isKnown: true, config: { sessionMs: undefined } });
  assert.equal(clean.subscriber.status.counters.sessionsLost, 0);
});

test("a broker that keeps the session for less than was asked is told of", async () => {
  const rig = openSubscriberRig();
  rig.broker.answers = false;
  await rig.settle();
  rig.broker.end.send({
    cmd: "connack",
    reasonCode: 0,
    sessionPresent: false,
    properties: { sessionExpiryInterval: 3_600 },
  });
  await rig.settle();
  assert.equal(rig.subscriber.status.sessionCutToMs, 3_600_000);
});

test("a session that was lost is subscribed even if the connection breaks before that is done", async () => {
  const rig = await running();
  await cut(rig);
  rig.broker.hasSession = false;
  rig.broker.answers = false;
  await rig.pass(1_000);
  rig.broker.end.welcome();
  await cut(rig);
  rig.broker.hasSession = true;
  rig.broker.answers = true;
  await rig.pass(2_000);
  assert.equal(rig.subscriber.state, "running");
  assert.ok(said(rig).includes("subscribe plant/+ plant/+/+"));
});

test("without a session none is missed, and it is subscribed each time", async () => {
  const rig = await running({ config: { sessionMs: undefined } });
  await cut(rig);
  await rig.pass(1_000);
  const [connect] = rig.broker.end.packets;
  assert.ok(connect?.cmd === "connect" && connect.clean === true);
  assert.equal(rig.subscriber.status.counters.sessionsLost, 0);
  assert.ok(said(rig).includes("subscribe plant/+ plant/+/+"));
});

test("an acknowledgement never reaches the next connection", async () => {
  const rig = await running();
  rig.broker.end.publish("plant/p1", "1", { qos: 1, id: 1 });
  rig.subscriber.seal();
  rig.broker.end.publish("plant/p1", "2", { qos: 1, id: 2 });
  await cut(rig);
  await rig.pass(1_000);
  rig.subscriber.release();
  rig.commit();
  assert.deepEqual(said(rig), ["connect"]);
  assert.equal(rig.subscriber.status.counters.acknowledgementsDropped, 2);
  // The broker sends them again, and they are as any others: a duplicate is the ledger's to see.
  rig.broker.end.publish("plant/p1", "1", { qos: 1, id: 1, dup: true });
  rig.commit();
  assert.deepEqual(said(rig), ["connect", "puback 1"]);
});

for (const level of [4, 5] as const) {
  test(`level ${level}: QoS 2 is received once, wherever the connection breaks`, async () => {
    for (const moment of ["open", "sealed", "durable", "answered", "released"] as const) {
      const rig = await running({ config: { level } });
      const reconnect = async (): Promise<void> => {
        await cut(rig);
        await rig.pass(1_000);
        assert.equal(rig.subscriber.state, "running");
      };
      rig.broker.end.publish("plant/p1", moment, { qos: 2, id: 5 });
      if (moment === "open") await reconnect();
      rig.subscriber.seal();
      if (moment === "sealed") await reconnect();
      if (moment === "durable") rig.broker.end.peer.vanish();
      rig.subscriber.release();
      if (moment === "durable") {
        await rig.settle();
        await rig.pass(1_000);
      }
      if (moment === "answered") await reconnect();
      if (moment === "released") {
        rig.broker.end.pubrel(5);
        await reconnect();
        rig.broker.end.pubrel(5);
        assert.deepEqual(said(rig), ["connect", "pubcomp 5"], moment);
        continue;
      }
      rig.broker.end.publish("plant/p1", moment, { qos: 2, id: 5, dup: true });
      rig.commit();
      rig.broker.end.pubrel(5);
      assert.deepEqual(said(rig), ["connect", "pubrec 5", "pubcomp 5"], moment);
      assert.deepEqual(rig.receiver.payloads, [moment]);
      assert.equal(rig.subscriber.status.counters.resent, 1, moment);
    }
  });
}

test("QoS 2 sent again before it is durable is answered after, and not for the wrong batch", async () => {
  const rig = await running();
  rig.broker.end.publish("plant/p1", "sealed", { qos: 1, id: 1 });
  rig.subscriber.seal();
  rig.broker.end.publish("plant/p1", "open", { qos: 2, id: 2 });
  await cut(rig);
  await rig.pass(1_000);
  rig.broker.end.publish("plant/p1", "open", { qos: 2, id: 2, dup: true });
  rig.subscriber.release(); // of the batch before
  assert.deepEqual(said(rig), ["connect"]);
  rig.subscriber.room();
  rig.commit();
  assert.deepEqual(said(rig), ["connect", "pubrec 2"]);
});

test("with the session the packet ids are gone: the same id is another message", async () => {
  const rig = await running();
  rig.broker.end.publish("plant/p1", "1", { qos: 2, id: 5 });
  rig.commit();
  await cut(rig);
  rig.broker.hasSession = false;
  await rig.pass(1_000);
  rig.broker.end.publish("plant/p1", "2", { qos: 2, id: 5 });
  assert.deepEqual(rig.receiver.payloads, ["1", "2"]);
});

test("a connection that is dead without a word is noticed within keep alive, answer wait and a sweep", async () => {
  const rig = await running({ config: { keepAliveMs: 10_000, answerMs: 4_000 } });
  rig.broker.answersPings = false;
  await rig.pass(10_000);
  assert.ok(said(rig).includes("pingreq"));
  await rig.pass(3_500);
  assert.equal(rig.subscriber.state, "running");
  await rig.pass(1_000);
  assert.equal(rig.subscriber.status.counters.halfOpen, 1);
  assert.match(rig.subscriber.status.trouble?.message ?? "", /no sign of life/);
});

test("any byte is a sign of life, and who hears much still says that it is there", async () => {
  const rig = await running({ config: { keepAliveMs: 10_000, answerMs: 4_000 } });
  rig.broker.answersPings = false;
  for (let i = 0; i < 30; i++) {
    await rig.pass(2_000);
    rig.broker.end.publish("plant/p1", String(i));
  }
  assert.equal(rig.subscriber.status.counters.halfOpen, 0);
  assert.ok(said(rig).filter((word) => word === "pingreq").length >= 5);
});

test("what we do not read is not the broker's silence, and pings go on", async () => {
  const rig = await running({
    config: { keepAliveMs: 10_000, answerMs: 4_000 },
    limits: { heldBytesPerConnectionMax: 100 },
  });
  rig.receiver.capacity = 0;
  for (let id = 1; id < 9; id++) rig.broker.end.publish("plant/p1", "x".repeat(50), { qos: 1, id });
  assert.equal(rig.broker.end.peer.isPaused, true);
  await rig.pass(60_000);
  assert.equal(rig.subscriber.state, "running");
  assert.ok(said(rig).filter((word) => word === "pingreq").length >= 5);
  rig.receiver.capacity = 100;
  rig.commit();
  await rig.settle();
  rig.commit();
  assert.equal(rig.receiver.received.length, 8);
  await rig.pass(10_000);
  assert.equal(rig.subscriber.status.counters.halfOpen, 0);
});

test("a process that stood still blames nobody", async () => {
  const rig = await running({ config: { keepAliveMs: 10_000, answerMs: 4_000 } });
  rig.broker.answersPings = false;
  await rig.pass(10_000);
  assert.ok(said(rig).includes("pingreq"));
  rig.clock.freeze(120_000);
  await rig.pass(1_000);
  assert.equal(rig.subscriber.status.counters.halfOpen, 0);
  await rig.pass(4_000);
  assert.equal(rig.subscriber.status.counters.halfOpen, 1);
});

for (const [missing, config] of [
  ["CONNACK", {}],
  ["SUBACK", {}],
] as const) {
  test(`a broker that gives no ${missing} is left after the answer wait`, async () => {
    const rig = openSubscriberRig({ config: { ...config, answerMs: 3_000 } });
    rig.broker.answers = false;
    await rig.settle();
    if (missing === "SUBACK") rig.broker.end.welcome();
    await rig.pass(3_000);
    assert.equal(rig.broker.ends[0]?.isClosed, true);
    assert.match(rig.subscriber.status.trouble?.message ?? "", new RegExp(`no ${missing} within`));
  });
}

test("addresses are tried in turn; after a round of all the wait grows, with jitter, up to its bound", async () => {
  const addresses = ["one", "two", "three"].map(addressOf);
  const rig = openSubscriberRig({
    config: { addresses },
    prepare: (broker) => {
      for (const host of ["one", "two", "three"]) broker.deaf.add(host);
    },
    limits: { brokerRetryMsMin: 1_000, brokerRetryMsMax: 8_000 },
  });
  const starts: number[] = [];
  let rounds = 0;
  for (let at = 0; at < 60_000; at += 100) {
    await rig.pass(100);
    if (rig.broker.tried.length / 3 > rounds) {
      rounds += 1;
      starts.push(at);
    }
  }
  assert.deepEqual(rig.broker.tried.slice(0, 6), ["one", "two", "three", "one", "two", "three"]);
  const gaps = starts.slice(1).map((at, index) => at - starts[index]!);
  for (const [index, gap] of gaps.entries()) {
    const full = Math.min(8_000, 1_000 * 2 ** index);
    assert.ok(gap >= full / 2 - 100 && gap <= full + 300, `round ${index}: ${gap} of ${full}`);
  }
  assert.match(rig.subscriber.status.trouble?.message ?? "", /cannot connect to/);
});

test("who was refused is told why, in words of the protocol's version", async () => {
  const rig = openSubscriberRig();
  rig.broker.answers = false;
  await rig.settle();
  rig.broker.end.send({
    cmd: "connack",
    reasonCode: 0x86,
    sessionPresent: false,
    properties: { reasonString: "no such user" },
  });
  await rig.settle();
  const { counters, trouble } = rig.subscriber.status;
  assert.equal(counters.refused, 1);
  assert.match(trouble?.message ?? "", /user or password is wrong.*"no such user"/);
});

test("a broker that knows only 3.1.1 is told from one that refuses us", async () => {
  const rig = openSubscriberRig();
  rig.broker.answers = false;
  await rig.settle();
  rig.broker.end.peer.send(Buffer.from([0x20, 2, 0, 1]));
  await rig.settle();
  assert.match(rig.subscriber.status.trouble?.message ?? "", /version .*3\.1\.1/);
});

test("another client with our client id is named, and not fought with", async () => {
  const rig = await running({ limits: { brokerTakenOverMs: 30_000 } });
  await rig.pass(60_000);
  rig.broker.end.send({ cmd: "disconnect", reasonCode: 0x8e });
  await rig.settle();
  assert.equal(rig.subscriber.status.counters.takenOver, 1);
  assert.match(rig.subscriber.status.trouble?.message ?? "", /another client .* our client id/);
  await rig.pass(29_000);
  assert.equal(rig.broker.ends.length, 1);
  await rig.pass(31_000);
  assert.equal(rig.broker.ends.length, 2);
});

test("connections that never last are counted in a row, and tried ever more slowly", async () => {
  const rig = await running();
  const before = rig.clock.monotonic();
  for (let i = 0; i < 6; i++) {
    rig.broker.end.peer.vanish();
    const { length } = rig.broker.ends;
    while (rig.broker.ends.length === length) await rig.pass(500);
    await rig.settle();
  }
  assert.equal(rig.subscriber.status.shortLived, 6);
  assert.ok(rig.clock.monotonic() - before > 15_000);
  await rig.pass(20_000);
  rig.broker.end.peer.vanish();
  await rig.settle();
  assert.equal(rig.subscriber.status.shortLived, 0);
});

test("a filter that the broker refuses is named, the others run, and it is asked for again", async () => {
  const rig = openSubscriberRig();
  rig.broker.codeOf = (filter, qos) => (filter === "plant/+" ? 0x87 : qos);
  await rig.settle();
  assert.equal(rig.subscriber.state, "running");
  assert.match(
    rig.subscriber.status.subscriptionsRefused.join(),
    /^plant\/\+: we are not authorised/,
  );
  assert.equal(rig.subscriber.status.subscriptions, 1);
  rig.broker.codeOf = (_, qos) => qos;
  await rig.pass(61_000);
  assert.deepEqual(rig.subscriber.status.subscriptionsRefused, []);
  assert.ok(said(rig).includes("subscribe plant/+"));
});

test("a broker that leaves when asked what it dropped is not asked again", async () => {
  const rig = openSubscriberRig({ config: { sessionMs: undefined } });
  rig.broker.codeOf = (filter, qos) => {
    if (filter.startsWith("$SYS")) rig.broker.end.peer.vanish();
    return qos;
  };
  await rig.settle();
  await rig.pass(2_000);
  assert.equal(rig.subscriber.state, "running");
  assert.ok(!said(rig).some((word) => word.includes("$SYS")));
});

test("what the broker says it dropped is shown as it grows, also when it begins anew", async () => {
  const rig = await running();
  const topic = "$SYS/broker/publish/messages/dropped";
  assert.equal(rig.subscriber.status.brokerDropped, undefined);
  for (const [payload, count] of [
    ["100", 0],
    ["103", 3],
    ["2", 5],
    ["nonsense", 5],
  ] as const) {
    rig.broker.end.publish(topic, payload, { retain: true });
    assert.equal(rig.subscriber.status.brokerDropped, count);
  }
  assert.equal(rig.receiver.received.length, 0);
});

test("a retained message is no new reading: acknowledged and counted", async () => {
  const rig = await running();
  rig.broker.end.publish("plant/p1", "old", { qos: 1, id: 3, retain: true });
  assert.equal(said(rig).at(-1), "puback 3");
  assert.equal(rig.subscriber.status.counters.retainedIgnored, 1);
  assert.equal(rig.receiver.received.length, 0);
});

test("a message that no source takes is acknowledged, counted and shown", async () => {
  const rig = await running();
  rig.broker.end.publish("elsewhere/x", "1", { qos: 1, id: 3 });
  assert.equal(said(rig).at(-1), "puback 3");
  assert.equal(rig.subscriber.status.counters.unwanted, 1);
  assert.equal(rig.subscriber.status.unwantedTopic, "elsewhere/x");
});

for (const level of [4, 5] as const) {
  test(`level ${level}: a message beyond the limit is answered and shed, or it would come again for ever`, async () => {
    const rig = await running({ config: { level }, limits: { packetBytesMax: 1_000 } });
    rig.broker.end.publish("plant/p1", "x".repeat(20_000), { qos: 1, id: 3 });
    rig.broker.end.publish("elsewhere", "x".repeat(20_000), { qos: 2, id: 4 });
    rig.broker.end.publish("plant/p1", "1", { qos: 1, id: 5 });
    rig.commit();
    assert.deepEqual(said(rig).slice(-3), ["puback 3", "pubrec 4", "puback 5"]);
    assert.deepEqual(rig.receiver.payloads, ["1"]);
    assert.deepEqual(rig.receiver.shedTopics, ["plant/p1"]);
    assert.equal(rig.subscriber.status.counters.tooLarge, 2);
  });
}

test("bytes that are not MQTT end the connection and are counted", async () => {
  const rig = await running();
  rig.broker.end.peer.send(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
  await rig.settle();
  assert.equal(rig.subscriber.status.counters.protocolErrors, 1);
  assert.equal(rig.broker.ends[0]?.isClosed, true);
  await rig.pass(2_000);
  assert.equal(rig.subscriber.state, "running");
});

test("at the end what was received is acknowledged, then it says goodbye and leaves the session", async () => {
  const rig = await running();
  rig.broker.end.publish("plant/p1", "1", { qos: 1, id: 1 });
  rig.subscriber.stopAccepting();
  rig.broker.end.publish("plant/p1", "2", { qos: 1, id: 2 });
  rig.commit();
  const closing = rig.subscriber.close();
  await rig.settle();
  await closing;
  assert.deepEqual(said(rig).slice(-2), ["puback 1", "disconnect"]);
  assert.deepEqual(rig.receiver.payloads, ["1"]);
  assert.equal(rig.subscriber.state, "stopped");
  await rig.pass(120_000);
  assert.equal(rig.broker.ends.length, 1);
});

test("QoS 0 messages that waited at the end are counted as shed; others are left to the broker", async () => {
  const rig = await running();
  rig.receiver.capacity = 0;
  rig.broker.end.publish("plant/p1", "1", { qos: 1, id: 1 });
  rig.broker.end.publish("plant/p2", "2");
  rig.subscriber.stopAccepting();
  assert.deepEqual(rig.receiver.shedTopics, ["plant/p2"]);
});

test("when the log is lost nobody is acknowledged, and the broker is left with what it sent", async () => {
  const rig = await running();
  rig.broker.end.publish("plant/p1", "1", { qos: 2, id: 1 });
  rig.subscriber.seal();
  rig.broker.end.publish("plant/p1", "2", { qos: 1, id: 2 });
  rig.subscriber.abandon();
  await rig.settle();
  rig.commit();
  assert.ok(!said(rig).some((word) => /^pub(ack|rec)/.test(word)));
  assert.equal(rig.broker.ends[0]?.isClosed, true);
  await rig.pass(2_000);
  rig.broker.end.publish("plant/p1", "1", { qos: 2, id: 1, dup: true });
  assert.deepEqual(rig.receiver.payloads, ["1", "2", "1"]);
});

test("passwords are in no status", async () => {
  const rig = await running({ config: { user: "u", password: "geheim" } });
  await cut(rig);
  assert.ok(!JSON.stringify(rig.subscriber.status).includes("geheim"));
});
