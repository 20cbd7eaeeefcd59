import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Catalog } from "../core/catalog.ts";
import { sourceId } from "../core/units.ts";
import { decodeLedger, Ledger } from "./ledger.ts";
import { COUNT_ACCEPTED, COUNT_CLOSED, PIPELINE_CELLS } from "./pipeline-counts.ts";

function ledgerOf(): Ledger {
  const catalog = new Catalog();
  for (const [id, name] of ["plant", "größe", "quiet"].entries()) {
    catalog.define({ kind: "source", id: sourceId(id), name });
  }
  const ledger = new Ledger(catalog);
  ledger.countMessages({ source: sourceId(0), decoded: 5, deadLettered: 1, shed: 2, rejected: 0 });
  ledger.countMessages({ source: sourceId(1), decoded: 1, deadLettered: 0, shed: 0, rejected: 3 });
  const counts = new Float64Array(PIPELINE_CELLS);
  counts[COUNT_ACCEPTED] = 2 ** 40;
  counts[COUNT_CLOSED] = 2 ** 40;
  ledger.setPipelines([{ name: "w@2", counts }]);
  return ledger;
}

test("an encoded ledger decodes to its view, without the sources nothing was counted for", () => {
  const ledger = ledgerOf();
  const view = ledger.view();
  assert.deepEqual(
    view.sources.map(({ source }) => source),
    ["plant", "größe"],
  );
  assert.equal(view.sources[0]!.messages.received, 8);
  assert.ok(view.balanced);
  assert.deepEqual(decodeLedger(ledger.encode()), view);
  assert.ok(ledger.equals(ledgerOf().encode()));
});

test("a ledger that lost a reading does not balance, and is not equal", () => {
  const ledger = ledgerOf();
  const before = ledger.encode();
  ledger.sources[4]! += 1;
  assert.equal(ledger.view().balanced, false);
  assert.equal(ledger.equals(before), false);
});

test("bytes that are no ledger are refused, whatever they are", () => {
  const bytes = ledgerOf().encode();
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.uint8Array({ maxLength: 40 }), (cut, noise) => {
      assert.equal(decodeLedger(bytes.subarray(0, cut)), undefined);
      decodeLedger(noise);
      const damaged = bytes.slice();
      damaged.set(noise.subarray(0, Math.max(0, bytes.length - cut)), cut);
      decodeLedger(damaged);
    }),
  );
});
