import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  connected,
  connectPacket,
  openRig,
  packetsIn,
  publishPacket,
  subscribePacket,
  turns,
} from "../../../../../test/support/front-rig.ts";
import { Outgoing, type OutgoingMessage } from "./outgoing.ts";

function message(brokerCounter: number, fields: Partial<OutgoingMessage> = {}): OutgoingMessage {
  return {
    cmd: "publish",
    topic: "a",
    payload: Buffer.from("x"),
    qos: 2,
    brokerCounter,
    messageId: undefined,
    ...fields,
  };
}

function outgoing(): { readonly store: Outgoing; readonly dropped: () => number } {
  let dropped = 0;
  const store = new Outgoing({
    limits: { waitingPerSessionMax: 2, waitingBytesMax: 25 },
    bytesOf: () => 10,
    onDrop: () => {
      dropped += 1;
    },
  });
  return { store, dropped: () => dropped };
}

async function waitingFor(store: Outgoing, id: string): Promise<readonly OutgoingMessage[]> {
  return await store.outgoingStream({ id }).toArray();
}

describe("messages on their way to a kept session", () => {
  it("are queued once for overlapping subscriptions, with the QoS these allow", async () => {
    const { store } = outgoing();
    const matched = [1, 0, 1].map((qos) => ({ clientId: "c", qos }));
    await store.outgoingEnqueueCombi(matched, message(1));
    const [only, ...others] = await waitingFor(store, "c");
    assert.equal(only?.qos, 1);
    assert.deepEqual(others, []);
  });

  it("stay when another subscription brings them too, and go when they are refused", async () => {
    const { store } = outgoing();
    for (const i of [1, 2]) await store.outgoingEnqueueCombi([{ clientId: "c" }], message(i));
    await store.outgoingClearMessageId({ id: "c" }, message(2));
    assert.equal((await waitingFor(store, "c")).length, 2);
    store.refused(message(2));
    await store.outgoingClearMessageId({ id: "c" }, message(2));
    const left = await waitingFor(store, "c");
    assert.deepEqual(
      left.map(({ brokerCounter }) => brokerCounter),
      [1],
    );
  });

  it("give way to their PUBREL, and are gone with the last answer", async () => {
    const { store } = outgoing();
    await store.outgoingEnqueueCombi([{ clientId: "c" }], message(1));
    await store.outgoingUpdate({ id: "c" }, message(1, { messageId: 7 }));
    await store.outgoingUpdate({ id: "c" }, message(9, { cmd: "pubrel", messageId: 7 }));
    const [pubrel] = await waitingFor(store, "c");
    assert.equal(pubrel?.cmd, "pubrel");
    await store.outgoingClearMessageId({ id: "c" }, message(9, { messageId: 7 }));
    assert.deepEqual(await waitingFor(store, "c"), []);
  });

  it("are bounded for each client and in all, and what is given up is given back", async () => {
    const { store, dropped } = outgoing();
    const all = ["a", "b"].map((clientId) => ({ clientId }));
    for (const i of [1, 2, 3]) await store.outgoingEnqueueCombi(all, message(i));
    assert.equal(dropped(), 4);
    store.forget("a");
    for (const i of [4, 5]) await store.outgoingEnqueueCombi(all, message(i));
    assert.equal((await waitingFor(store, "a")).length, 1);
    assert.equal(dropped(), 7);
  });
});

describe("a kept session that comes back", () => {
  it("is sent what it did not answer again, with DUP, and only that [MQTT-3.3.1-1]", async () => {
    await using rig = await openRig();
    const reader = await connected(rig, { clientId: "r", clean: false });
    reader.send(subscribePacket("other/#", 1, 1));
    await turns();
    reader.clear();
    const peer = await connected(rig);
    for (const id of [1, 2]) peer.send(publishPacket("other/a", `${id}`, { qos: 2, id }));
    await turns(20);
    reader.vanish();
    await turns();
    peer.send(publishPacket("other/a", "3", { qos: 1, id: 3 }));
    await turns();
    const back = rig.net.arrive();
    back.send(connectPacket({ clientId: "r", clean: false }));
    await turns(40);
    const seen = packetsIn(back).flatMap((packet) =>
      packet.cmd === "publish" ? [`${packet.payload.toString()} ${packet.qos} ${packet.dup}`] : [],
    );
    assert.deepEqual(seen, ["1 1 true", "2 1 true", "3 1 false"]);
  });

  it("stays connected when more is on its way to it than is kept, and is given all of it", async () => {
    await using rig = await openRig({ limits: { waitingPerSessionMax: 2 } });
    const reader = await connected(rig, { clientId: "r", clean: false });
    reader.send(subscribePacket("other/#", 1, 1));
    await turns();
    reader.clear();
    const peer = await connected(rig);
    for (const id of [1, 2, 3, 4]) peer.send(publishPacket("other/a", `${id}`, { qos: 1, id }));
    await turns(20);
    assert.equal(packetsIn(reader).length, 4);
    assert.equal(reader.isClosed, false);
    assert.equal(rig.front.status.waitingDropped, 2);
  });
});
