import assert from "node:assert/strict";
import { it } from "node:test";
import { cheapHash, MemoryUsersFile } from "../../../../../test/support/access-rig.ts";
import {
  connect5Packet,
  connected5,
  packets5In,
  publish5,
  subscribe5,
  wordsOf,
} from "../../../../../test/support/five-rig.ts";
import { commit, openRig, type Rig, turns } from "../../../../../test/support/front-rig.ts";

const rights = { publish: ["plant/own/#"], subscribe: ["plant/own/#"] };

function openGuarded(): Promise<Rig> {
  return openRig({ anonymous: true, access: { anonymousRights: rights } });
}

it("a message that is not the client's to publish is answered with 0x87, and not received", async () => {
  await using rig = await openGuarded();
  const peer = await connected5(rig);
  for (const [messageId, topic] of ["plant/a", "plant/own/a", "other/a"].entries()) {
    peer.send(publish5(topic, topic, { qos: 1, messageId: 2 * messageId + 1 }));
    peer.send(publish5(topic, topic, { qos: 2, messageId: 2 * messageId + 2 }));
    peer.send(publish5(topic, `${topic} 0`));
  }
  await turns();
  commit(rig.front);
  await turns();
  assert.deepEqual(wordsOf(peer).toSorted(), [
    "puback 1 135",
    "puback 3",
    "puback 5 135",
    "pubrec 2 135",
    "pubrec 4",
    "pubrec 6 135",
  ]);
  assert.ok(rig.receiver.payloads.every((each) => each.startsWith("plant/own/a")));
  assert.equal(rig.receiver.payloads.length, 3);
  assert.equal(peer.isClosed, false);
});

it("an alias does not get around what a client may publish", async () => {
  await using rig = await openGuarded();
  const peer = await connected5(rig);
  peer.send(publish5("plant/a", "1", { properties: { topicAlias: 1 } }));
  peer.send(publish5("", "2", { qos: 1, messageId: 1, properties: { topicAlias: 1 } }));
  await turns();
  assert.deepEqual(wordsOf(peer), ["puback 1 135"]);
  assert.deepEqual(rig.receiver.payloads, []);
});

it("a subscription that is not the client's is refused with 0x87, also when its session comes back", async () => {
  await using rig = await openGuarded();
  const kept = { clientId: "r", clean: false, properties: { sessionExpiryInterval: 60 } };
  const reader = await connected5(rig, kept);
  reader.send(subscribe5(["plant/own/#", "other/#"], { qos: 1 }));
  await turns();
  assert.deepEqual(
    packets5In(reader).map((packet) => "granted" in packet && packet.granted),
    [[1, 0x87]],
  );
  reader.vanish();
  await turns();
  assert.equal(rig.front.status.subscriptions, 1);
});

for (const [presence, payload] of [
  ["is away, its will delayed", "open the valve"],
  ["is away, its will to take back what is retained", ""],
  ["is connected", "open the valve"],
] as const) {
  it(`the will of a user that is removed while it ${presence}, is published to nobody`, async () => {
    const usersFile = new MemoryUsersFile();
    const user = async (name: string) => ({ name, hash: await cheapHash(name) });
    const [gone, kept] = await Promise.all([user("gone"), user("kept")]);
    usersFile.setUsers([gone, kept]);
    await using rig = await openRig({ usersFile });
    for (const { name } of [gone, kept]) {
      const peer = rig.net.arrive();
      const will = {
        topic: `plant/${name}`,
        payload: Buffer.from(payload),
        qos: 0 as const,
        retain: true,
        properties: { willDelayInterval: 60 },
      };
      const properties = { sessionExpiryInterval: 600 };
      const password = Buffer.from(name);
      peer.send(connect5Packet({ clientId: name, username: name, password, will, properties }));
      while (packets5In(peer).length === 0) await turns();
      if (presence !== "is connected" || name === "kept") peer.vanish();
    }
    await turns();
    usersFile.setUsers([kept]);
    rig.clock.advance(2_000);
    await turns();
    for (let seconds = 0; seconds < 70; seconds++) rig.clock.advance(1_000);
    await turns();
    assert.deepEqual(
      rig.receiver.received.map(({ topic }) => topic),
      payload === "" ? [] : ["plant/kept"],
    );
    assert.equal(rig.front.status.willsDenied, 1);
    assert.equal(rig.access.events.after(0).at(-1)?.topic, "plant/gone");
    rig.access.close();
  });
}
