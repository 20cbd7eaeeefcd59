import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  connectPacket,
  namesOf,
  openRig,
  packetsIn,
  turns,
} from "../../../../../test/support/front-rig.ts";
import { ManualClock } from "../../../../../test/support/simulated-net.ts";
import { limits } from "../../../../core/limits.ts";
import { Newcomers } from "./newcomers.ts";

type Client = { readonly index: number };

/** So many that come in one instant, and who of them is in. */
function crowd(count: number, bounds = { newcomersPerTickMin: 2, newcomersSpreadMs: 1_000 }) {
  const clock = new ManualClock();
  const inside: number[] = [];
  const newcomers = new Newcomers<Client>({
    limits: { newcomersTickMs: 10, ...bounds },
    after: (ms, run) => clock.after(ms, run),
    offer: (client) => come(client),
  });
  const come = (client: Client): void => {
    if (newcomers.mayEnter()) inside.push(client.index);
    else newcomers.wait(client);
  };
  const clients = Array.from({ length: count }, (_, index) => ({ index }));
  for (const client of clients) come(client);
  return { clock, inside, newcomers, clients, come };
}

describe("newcomers", () => {
  it("come in a few at once, the others a few in each tick, in order", () => {
    const { clock, inside, come } = crowd(5);
    assert.deepEqual(inside, [0, 1]);
    clock.advance(9);
    come({ index: 5 });
    assert.deepEqual(inside, [0, 1]);
    clock.advance(1);
    assert.deepEqual(inside, [0, 1, 2, 3]);
    clock.advance(10);
    assert.deepEqual(inside, [0, 1, 2, 3, 4, 5]);
    come({ index: 6 });
    clock.advance(10);
    for (const index of [7, 8, 9]) come({ index });
    assert.deepEqual(inside, [0, 1, 2, 3, 4, 5, 6, 7]);
    clock.advance(10);
    assert.deepEqual(inside, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("of a long line come in faster: the last before a client gives up", () => {
    const { clock, inside } = crowd(limits.connectionsMax, limits);
    clock.advance(limits.newcomersTickMs);
    const first = inside.length;
    assert.ok(first < 32, `no more than ${first} at once`);
    clock.advance(limits.connectWaitMs - limits.newcomersTickMs);
    assert.equal(inside.length, limits.connectionsMax);
  });

  it("that leave stand in no line and take no place", () => {
    const { clock, inside, newcomers, clients } = crowd(6);
    for (const client of clients.slice(2, 4)) newcomers.left(client);
    clock.advance(10);
    assert.deepEqual(inside, [0, 1, 4, 5]);
  });

  it("are let into the front at that pace, and are not silent while they wait", async () => {
    const pace = { newcomersTickMs: 10, newcomersPerTickMin: 2 };
    const waits = { connectWaitMs: 25, keepAliveSweepMs: 5 };
    await using rig = await openRig({ limits: { ...pace, ...waits } });
    const peers = Array.from({ length: 10 }, () => rig.net.arrive());
    for (const peer of peers) peer.send(connectPacket());
    const inside = (): number =>
      peers.filter((peer) => namesOf(packetsIn(peer))[0]?.startsWith("connack")).length;
    for (let seen = 2; seen <= peers.length; seen += 2) {
      await turns();
      assert.equal(inside(), seen);
      rig.clock.advance(10);
    }
    assert.equal(rig.front.status.connectTimeouts, 0);
  });

  it("that leave the front do not make its line longer", async () => {
    const pace = { newcomersTickMs: 10, newcomersPerTickMin: 2, newcomersSpreadMs: 100 };
    await using rig = await openRig({ limits: pace });
    const peers = Array.from({ length: 42 }, () => rig.net.arrive());
    for (const peer of peers) peer.send(connectPacket());
    await turns();
    for (const peer of peers.slice(12)) peer.vanish();
    await turns();
    rig.clock.advance(10);
    await turns();
    const inside = peers.filter((peer) => packetsIn(peer).length > 0);
    assert.equal(inside.length, 4, "ten that wait come in as ten do, not as forty");
  });
});
