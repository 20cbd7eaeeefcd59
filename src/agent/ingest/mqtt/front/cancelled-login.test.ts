import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cheapHashText, countingHashing } from "../../../../../test/support/access-rig.ts";
import {
  connectPacket,
  namesOf,
  openRig,
  packetsIn,
  publishPacket,
  type Rig,
  subscribePacket,
  turns,
} from "../../../../../test/support/front-rig.ts";
import type { SimulatedPeer } from "../../../../../test/support/simulated-net.ts";

type CountedHashing = ReturnType<typeof countingHashing>;

const slow = { username: "slow", password: "s", clientId: "shared" };

async function openSlow(hashing: CountedHashing): Promise<Rig> {
  const users = [
    { name: "slow", passwordHash: await cheapHashText("s") },
    { name: "here", password: "h" },
  ];
  return await openRig({ hashing, access: { users }, accessLimits: { connectionsPerUserMax: 1 } });
}

/** Asks to log in, and leaves while its password is being hashed. */
async function cancelled(rig: Rig, hashing: CountedHashing): Promise<void> {
  hashing.hold();
  const peer = rig.net.arrive();
  peer.send(connectPacket(slow));
  await turns();
  assert.equal(hashing.running, 1);
  peer.vanish();
  await turns();
  hashing.release();
  while (hashing.running > 0) await turns();
  await turns();
}

async function answered(rig: Rig, packet: Buffer): Promise<SimulatedPeer> {
  const peer = rig.net.arrive();
  peer.send(packet);
  while (packetsIn(peer).length === 0) await turns();
  return peer;
}

describe("a client that leaves while its password is hashed", () => {
  it("takes none of its user's connections", async () => {
    const hashing = countingHashing();
    await using rig = await openSlow(hashing);
    await cancelled(rig, hashing);
    const [connack] = packetsIn(await answered(rig, connectPacket(slow)));
    assert.ok(connack?.cmd === "connack" && connack.returnCode === 0);
    assert.equal(rig.front.status.connectionsOverQuota, 0);
  });

  it("does not put out the one that has its client id", async () => {
    const hashing = countingHashing();
    await using rig = await openSlow(hashing);
    const login = { username: "here", password: "h", clientId: "shared" };
    const here = await answered(rig, connectPacket(login));
    here.send(subscribePacket("plant/#"));
    await turns();
    await cancelled(rig, hashing);
    assert.equal(here.isClosed, false);
    here.send(publishPacket("plant/a", "still"));
    await turns();
    assert.deepEqual(namesOf(packetsIn(here)), ["connack", "suback 1", "publish plant/a still"]);
  });
});
