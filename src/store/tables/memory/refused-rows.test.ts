import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { position } from "../../../core/units.ts";
import { decodeRefusedRows, RefusedRows } from "./refused-rows.ts";

/** Batches of a log: which of their rows were accepted. A batch takes a position more than its rows. */
const batches = fc.array(fc.array(fc.boolean(), { maxLength: 20 }), { maxLength: 20 });

function noted(log: readonly (readonly boolean[])[], refused: RefusedRows): number[] {
  const starts: number[] = [];
  let at = 1;
  for (const rows of log) {
    const accepted = acceptedOf(rows);
    refused.note(position(at), rows.length, Uint32Array.from(accepted), accepted.length);
    starts.push(at);
    at += rows.length + 1;
  }
  return starts;
}

function acceptedOf(rows: readonly boolean[]): number[] {
  return rows.flatMap((isAccepted, row) => (isAccepted ? [row] : []));
}

test("what was accepted of each batch is known again, also from bytes", () => {
  fc.assert(
    fc.property(batches, (log) => {
      const refused = new RefusedRows();
      const starts = noted(log, refused);
      for (const kept of [refused, decodeRefusedRows(refused.encode())]) {
        for (const [i, rows] of log.entries()) {
          const accepted = new Uint32Array(rows.length);
          const count = kept.acceptedOf(position(starts[i]!), rows.length, accepted);
          assert.deepEqual([...accepted.subarray(0, count)], acceptedOf(rows));
        }
      }
    }),
  );
});

test("what lies below is forgotten, what lies above is not", () => {
  const refused = new RefusedRows();
  const log = [[false], [true, false, false], [false, true]];
  const starts = noted(log, refused);
  refused.forgetBelow(position(starts[1]!));
  const accepted = new Uint32Array(3);
  assert.equal(refused.acceptedOf(position(starts[0]!), 1, accepted), 1, "nobody asks any more");
  assert.equal(refused.acceptedOf(position(starts[1]!), 3, accepted), 1);
  assert.equal(refused.acceptedOf(position(starts[2]!), 2, accepted), 1);
  assert.equal(accepted[0], 1);
});

test("a batch accepted whole costs nothing", () => {
  const refused = new RefusedRows();
  noted([[true, true], [true]], refused);
  assert.deepEqual([...refused.encode()], [0]);
});
