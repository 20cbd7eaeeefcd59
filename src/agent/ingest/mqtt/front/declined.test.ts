import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connected5, publish5 } from "../../../../../test/support/five-rig.ts";
import { connected, openRig, publishPacket, turns } from "../../../../../test/support/front-rig.ts";

describe("a message of a topic that no source wants is counted once", () => {
  it("in 3.1.1, of each QoS, and as a will", async () => {
    await using rig = await openRig();
    const will = { topic: "other/will", payload: "gone" };
    const peer = await connected(rig, { clientId: "p", will });
    peer.send(
      publishPacket("other/0", "1"),
      publishPacket("other/1", "1", { qos: 1, id: 7 }),
      publishPacket("other/2", "1", { qos: 2, id: 8 }),
      publishPacket("plant/a", "1", { qos: 1, id: 9 }),
      publishPacket("$other/a", "1", { qos: 1, id: 10 }),
    );
    await turns();
    peer.vanish();
    await turns();
    assert.deepEqual(rig.receiver.declined, ["other/0", "other/1", "other/2", "other/will"]);
  });

  it("in 5, of each QoS", async () => {
    await using rig = await openRig();
    const peer = await connected5(rig);
    peer.send(publish5("other/0", "1"));
    peer.send(publish5("other/1", "1", { qos: 1, messageId: 7 }));
    peer.send(publish5("other/2", "1", { qos: 2, messageId: 8 }));
    peer.send(publish5("plant/a", "1", { qos: 1, messageId: 9 }));
    peer.send(publish5("$other/a", "1", { qos: 1, messageId: 10 }));
    await turns();
    assert.deepEqual(rig.receiver.declined, ["other/0", "other/1", "other/2"]);
  });
});
