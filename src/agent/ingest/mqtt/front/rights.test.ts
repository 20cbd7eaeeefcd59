import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  cheapHash,
  cheapHashText,
  countingHashing,
  MemoryUsersFile,
} from "../../../../../test/support/access-rig.ts";
import {
  commit,
  connected,
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

const users = [
  {
    name: "pump",
    password: "p",
    publish: ["plant/{user}/#", "other/{user}/#"],
    subscribe: ["plant/{user}/#", "weir/#"],
  },
  { name: "reader", password: "r", publish: [], subscribe: ["#"] },
  { name: "all", password: "a" },
];

async function openLocked(): Promise<Rig> {
  return await openRig({ access: { users } });
}

async function asUser(rig: Rig, username: string, clientId?: string): Promise<SimulatedPeer> {
  const password = username[0]!;
  return await connected(rig, {
    username,
    password,
    ...(clientId === undefined ? {} : { clientId }),
  });
}

describe("a publish that is not allowed", () => {
  for (const qos of [0, 1, 2] as const) {
    for (const topic of ["plant/valve/state", "other/valve", "$other", "plant"]) {
      it(`at QoS ${qos} to ${topic} closes the connection, unacknowledged and unreceived`, async () => {
        await using rig = await openLocked();
        const reader = await asUser(rig, "reader");
        reader.send(subscribePacket("#"));
        await turns();
        reader.clear();
        const pump = await asUser(rig, "pump");
        pump.send(publishPacket("plant/pump/state", "1"));
        pump.send(publishPacket(topic, "2", { qos, ...(qos > 0 ? { id: 7 } : {}) }));
        pump.send(publishPacket("plant/pump/state", "3"));
        await turns();
        commit(rig.front);
        await turns();
        assert.equal(pump.isClosed, true);
        assert.deepEqual(packetsIn(pump), []);
        assert.deepEqual(rig.receiver.payloads, ["1"]);
        assert.deepEqual(namesOf(packetsIn(reader)), ["publish plant/pump/state 1"]);
        assert.equal(rig.front.status.publishesDenied, 1);
        const [event] = rig.access.events.after(0);
        assert.deepEqual(
          [event?.kind, event?.user, event?.topic],
          ["publish_denied", "pump", topic],
        );
      });
    }
  }

  it("is not kept as retained, nor does it take back what others retained", async () => {
    await using rig = await openLocked();
    const all = await asUser(rig, "all");
    all.send(publishPacket("plant/valve", "kept", { retain: true }));
    for (const payload of ["", "spoiled"]) {
      const pump = await asUser(rig, "pump");
      pump.send(publishPacket("plant/valve", payload, { retain: true }));
      await turns();
      assert.equal(pump.isClosed, true);
    }
    const reader = await asUser(rig, "reader");
    reader.send(subscribePacket("plant/#"));
    await turns();
    assert.deepEqual(namesOf(packetsIn(reader)), ["suback 1", "publish plant/valve kept"]);
  });

  it("is found among thousands of topics that are, each by itself", async () => {
    await using rig = await openLocked();
    const pump = await asUser(rig, "pump");
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 3_000; n++) pump.send(publishPacket(`plant/pump/${n}`, `${n}`));
    }
    assert.equal(rig.receiver.received.length, 6_000);
    pump.send(publishPacket("plant/pumps/1", "no"));
    await turns();
    assert.equal(pump.isClosed, true);
    assert.equal(rig.receiver.received.length, 6_000);
  });
});

describe("a will that is not allowed", () => {
  it("refuses the login; one that is allowed is published", async () => {
    await using rig = await openLocked();
    const pump = rig.net.arrive();
    const will = { topic: "plant/valve/dead", payload: "x" };
    pump.send(connectPacket({ username: "pump", password: "p", will }));
    await turns();
    assert.deepEqual(
      packetsIn(pump).map((packet) => (packet.cmd === "connack" ? packet.returnCode : packet.cmd)),
      [5],
    );
    assert.equal(pump.isClosed, true);
    await turns();
    assert.deepEqual(rig.receiver.received, []);
    assert.equal(rig.front.status.willsDenied, 1);
    const other = await connected(rig, {
      username: "pump",
      password: "p",
      will: { topic: "plant/pump/dead", payload: "gone" },
    });
    other.vanish();
    await turns();
    assert.deepEqual(rig.receiver.payloads, ["gone"]);
  });
});

describe("a subscription that is not allowed", () => {
  it("is answered with 0x80, the others beside it are kept", async () => {
    await using rig = await openLocked();
    const pump = await asUser(rig, "pump");
    const filters = ["#", "plant/#", "plant/+/state", "plant/pump/#", "weir/a", "$SYS/#"];
    for (const [id, filter] of filters.entries()) pump.send(subscribePacket(filter, id + 1));
    await turns();
    assert.deepEqual(
      packetsIn(pump).map((packet) => (packet.cmd === "suback" ? packet.granted : packet.cmd)),
      [[128], [128], [128], [0], [0], [128]],
    );
    assert.equal(rig.front.status.subscriptionsDenied, 4);
    pump.clear();
    const all = await asUser(rig, "all");
    all.send(publishPacket("plant/valve/state", "secret"), publishPacket("plant/pump/a", "own"));
    await turns();
    assert.deepEqual(namesOf(packetsIn(pump)), ["publish plant/pump/a own"]);
  });

  it("does not come back with the session of another user, nor what waits there", async () => {
    await using rig = await openLocked();
    const login = { username: "reader", password: "r", clientId: "shared", clean: false };
    const reader = await connected(rig, login);
    reader.send(subscribePacket("plant/#", 1, 1));
    await turns();
    reader.vanish();
    await turns();
    const all = await asUser(rig, "all");
    all.send(publishPacket("plant/valve/state", "secret", { qos: 1, id: 1 }));
    all.send(publishPacket("plant/pump/state", "open", { qos: 1, id: 2 }));
    await turns();
    const thief = rig.net.arrive();
    thief.send(
      connectPacket({ username: "pump", password: "p", clientId: "shared", clean: false }),
    );
    await turns(40);
    all.send(publishPacket("plant/valve/state", "secret too"));
    await turns();
    const published = namesOf(packetsIn(thief)).filter((name) => name.startsWith("publish"));
    assert.deepEqual(published, ["publish plant/pump/state open"]);
  });

  it("is one too many for a client, while another has room", async () => {
    await using rig = await openRig({ limits: { subscriptionsPerClientMax: 2 } });
    const [one, two] = [await connected(rig), await connected(rig)];
    for (const id of [1, 2, 3]) one.send(subscribePacket(`plant/${id}`, id));
    one.send(subscribePacket("plant/1", 4));
    two.send(subscribePacket("plant/1", 1));
    await turns();
    const granted = (peer: SimulatedPeer) =>
      packetsIn(peer).map((packet) => (packet.cmd === "suback" ? packet.granted : packet.cmd));
    assert.deepEqual(granted(one), [[0], [0], [128], [0]]);
    assert.deepEqual(granted(two), [[0]]);
  });
});

describe("client ids that play tricks", () => {
  for (const clientId of ["+", "#", "a/b", "$SYS"]) {
    it(`${clientId} opens nothing`, async () => {
      await using rig = await openRig({
        access: { anonymousRights: { publish: ["plant/{client}/#"], subscribe: ["{client}/#"] } },
        anonymous: true,
      });
      const client = await connected(rig, { clientId });
      for (const [id, filter] of ["#", "+/#", "plant/#", "$SYS/#", `${clientId}/#`].entries()) {
        if (/^[#a]/.test(filter) && filter !== "#") continue;
        client.send(subscribePacket(filter, id + 1));
      }
      await turns();
      const granted = packetsIn(client).flatMap((packet) =>
        packet.cmd === "suback" ? packet.granted : [],
      );
      assert.deepEqual(new Set(granted), new Set([128]));
      if (clientId === "$SYS") return;
      client.send(publishPacket("plant/a/b/c", "1"));
      await turns();
      assert.equal(client.isClosed, true);
      assert.deepEqual(rig.receiver.received, []);
    });
  }

  it("the empty one, for which the broker makes up another, opens nothing", async () => {
    await using rig = await openRig({
      access: { anonymousRights: { publish: ["plant/{client}/#"], subscribe: [] } },
      anonymous: true,
    });
    const client = await connected(rig, { clientId: "" });
    client.send(publishPacket("plant//a", "1"));
    await turns();
    assert.equal(client.isClosed, true);
    assert.deepEqual(rig.receiver.received, []);
  });
});

describe("a user that is removed", () => {
  it("is disconnected, and so is one with another password; others stay", async () => {
    const usersFile = new MemoryUsersFile();
    const [gone, changed, kept] = await Promise.all(
      ["gone", "changed", "kept"].map((p) => cheapHash(p)),
    );
    usersFile.setUsers([
      { name: "gone", hash: gone! },
      { name: "changed", hash: changed! },
      { name: "kept", hash: kept! },
    ]);
    await using rig = await openRig({ usersFile });
    const peers = new Map<string, SimulatedPeer>();
    for (const name of ["gone", "changed", "kept"]) {
      const peer = rig.net.arrive();
      peers.set(name, peer);
      peer.send(connectPacket({ username: name, password: name }));
    }
    for (const peer of peers.values()) {
      while (packetsIn(peer).length === 0) await turns();
    }
    usersFile.setUsers([
      { name: "changed", hash: await cheapHash("new") },
      { name: "kept", hash: kept! },
    ]);
    rig.clock.advance(2_000);
    await turns();
    const closed = [...peers].filter(([, peer]) => peer.isClosed).map(([name]) => name);
    assert.deepEqual(closed, ["gone", "changed"]);
    assert.equal(rig.front.status.connectionsRevoked, 2);
    rig.access.close();
  });
});

it("a user has so many connections", async () => {
  await using rig = await openRig({
    users: [{ name: "pump", password: "p" }],
    accessLimits: { connectionsPerUserMax: 2 },
  });
  const [first] = [await asUser(rig, "pump"), await asUser(rig, "pump")];
  await assert.rejects(() => asUser(rig, "pump"));
  assert.equal(rig.front.status.connectionsOverQuota, 1);
  first.vanish();
  await turns();
  await asUser(rig, "pump");
});

it("somebody with a certificate has the rights of the name in it", async () => {
  await using rig = await openRig({
    access: { users, certificates: [{ name: "*", publish: ["plant/{user}/#"], subscribe: [] }] },
  });
  const peer = rig.net.arrive({ certificateName: "pump-7" });
  peer.send(connectPacket());
  await turns();
  peer.send(publishPacket("plant/pump-7/a", "own"), publishPacket("plant/pump-8/a", "other"));
  await turns();
  assert.deepEqual(rig.receiver.payloads, ["own"]);
  assert.equal(peer.isClosed, true);
  assert.equal(rig.access.events.after(0)[0]?.user, "pump-7");
});

it("a login that waits for its hash is waited for, one that says nothing is not", async () => {
  const hashing = countingHashing();
  await using rig = await openRig({
    hashing,
    access: { users: [{ name: "pump", passwordHash: await cheapHashText("p") }] },
  });
  hashing.hold();
  const [patient, silent] = [rig.net.arrive(), rig.net.arrive()];
  patient.send(connectPacket({ username: "pump", password: "p" }));
  await turns();
  for (let seconds = 0; seconds < 15; seconds++) rig.clock.advance(1_000);
  assert.deepEqual([patient.isClosed, silent.isClosed], [false, true]);
  hashing.release();
  while (packetsIn(patient).length === 0) await turns();
  assert.deepEqual(namesOf(packetsIn(patient)), ["connack"]);
  const forgotten = rig.net.arrive();
  hashing.hold();
  forgotten.send(connectPacket({ username: "pump", password: "wrong" }));
  await turns();
  for (let seconds = 0; seconds < 61; seconds++) rig.clock.advance(1_000);
  assert.equal(forgotten.isClosed, true);
  hashing.release();
});
