import assert from "node:assert/strict";
import { test } from "node:test";
import { requireData } from "../test/support/require-tool.ts";
import { defaults, runStore, textOf, tinyOptions } from "./store.ts";

test("the store benchmark gives figures for both recordings and every rival", async (t) => {
  if (requireData(t, "skab/data/valve1") === undefined) return;
  if (requireData(t, "nab/data") === undefined) return;
  const result = await runStore(tinyOptions);
  for (const dataset of [result.skab, result.nab]) {
    const { values, stamps, rest, bytes_per_reading, gorilla, zstd_doubles, lmdb } = dataset;
    assert.ok(Math.abs(values + stamps + rest - bytes_per_reading) < 0.002);
    assert.ok(bytes_per_reading < gorilla.bytes_per_reading);
    assert.ok(bytes_per_reading < zstd_doubles.bytes_per_reading);
    assert.ok(bytes_per_reading < lmdb.bytes_per_reading);
    for (const { encode_mps, decode_mps } of [dataset, gorilla, zstd_doubles]) {
      assert.ok(encode_mps > 0 && decode_mps > 0);
    }
  }
  assert.equal(result.skab.readings, 8 * tinyOptions.rowsMax);
  assert.ok(result.nab.long_floats.readings > 0);
  assert.match(textOf(result), /^ {2}tables .* B {2}encode .* decode /m);
});

test("a reading of the recordings takes what it is meant to, at most", async (t) => {
  if (requireData(t, "skab/data/valve1") === undefined) return;
  if (requireData(t, "nab/data") === undefined) return;
  const { skab, nab } = await runStore({ ...tinyOptions, rowsMax: defaults.rowsMax });
  assert.ok(skab.bytes_per_reading < 1.55, `${skab.bytes_per_reading} bytes`);
  assert.ok(nab.bytes_per_reading < 1.1, `${nab.bytes_per_reading} bytes`);
  assert.ok(nab.long_floats.bytes_per_reading < 2.4);
});
