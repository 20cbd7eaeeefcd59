/**
 * Values of a state store of version 4, with their checksums, and the same without them as versions
 * before had them. They never change; a store that keeps them differently is a new version with vectors
 * of its own, and still reads these.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { openCheckedKv, readCheckedKv } from "../../src/store/state/checked-kv.ts";
import { KvMemory } from "../../src/store/state/kv-memory.ts";

type Values = Readonly<Record<string, string>>;
const golden: { readonly checked: Values; readonly unchecked: Values } = JSON.parse(
  readFileSync(new URL("checked-values-v1.json", import.meta.url), "utf8"),
);

function storeOf(values: Values): KvMemory {
  const image = Object.entries(values).map(([key, hex]) => [key, Buffer.from(hex, "hex")] as const);
  return new KvMemory({ image: new Map(image) });
}

function valuesIn(kv: KvMemory): Values {
  return Object.fromEntries(
    [...kv.image()].map(([key, value]) => [key, Buffer.from(value).toString("hex")]),
  );
}

test("values with checksums are read as they were written", () => {
  const kv = readCheckedKv(storeOf(golden.checked));
  const { format: _, ...values } = golden.unchecked;
  for (const [key, hex] of Object.entries(values)) {
    assert.equal(Buffer.from(kv.get(key)!).toString("hex"), hex);
  }
});

test("opening a store without checksums gives the same bytes as writing it with them", async () => {
  const kv = storeOf(golden.unchecked);
  await openCheckedKv(kv);
  assert.deepEqual(valuesIn(kv), golden.checked);
});
