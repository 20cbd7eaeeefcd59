import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { PacketIds, PacketIdsOfClients } from "./packet-ids.ts";

function give(ids: PacketIds): number {
  const id = ids.next;
  ids.give();
  return id;
}

describe("packet identifiers", () => {
  it("go around, past 0 and past those that are open", () => {
    const ids = new PacketIds(65_534, { openMax: 10 });
    assert.deepEqual(
      Array.from({ length: 4 }, () => give(ids)),
      [65_534, 65_535, 1, 2],
    );
    ids.settle(1);
    for (let i = 0; i < 65_531; i++) ids.settle(give(ids));
    assert.equal(ids.next, 1);
    assert.equal(give(ids), 1);
    assert.equal(ids.next, 3);
  });

  it("are never given while open, whatever is settled", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 20 }), { maxLength: 200 }), (settled) => {
        const ids = new PacketIds(65_530, { openMax: 1_000 });
        const open: number[] = [];
        for (const at of settled) {
          const id = give(ids);
          assert.equal(open.includes(id), false);
          open.push(id);
          const [done] = open.splice(at, 1);
          if (done !== undefined) ids.settle(done);
        }
      }),
    );
  });

  it("that are too many to remember are forgotten, the oldest first", () => {
    const ids = new PacketIds(1, { openMax: 2 });
    for (const id of [5, 6, 7]) ids.reopen(id);
    for (let i = 1; i < 5; i++) ids.settle(give(ids));
    assert.ok(ids.next <= 6);
  });

  it("of a client are counted as the broker does it: read, then set to what follows", () => {
    const all = new PacketIdsOfClients({ openMax: 10 });
    const client = { _nextId: 9 };
    all.attach(client);
    all.reopen(client, 10);
    const given = [client._nextId];
    client._nextId += 1;
    given.push(client._nextId);
    client._nextId += 1;
    all.settle(client, 9);
    assert.deepEqual([...given, client._nextId], [9, 11, 12]);
  });
});
