import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../core/limits.ts";
import { HeldBack, readHeldBack } from "./held-back.ts";
import { KvMemory } from "./kv-memory.ts";

test("the latest end of a key is its floor, and others have none", () => {
  const held = new HeldBack();
  held.raise("temp/device=p1", 20);
  held.raise("temp/device=p1", 10);
  assert.equal(held.floorOf("gw1/temp/device=p1"), 20);
  assert.equal(held.floorOf("gw2/temp/device=p1"), 20, "whatever the agent is called");
  assert.equal(held.floorOf("gw1/temp/device=p2"), undefined);
  assert.equal(new HeldBack().floorOf("gw1/temp/device=p1"), undefined);
});

test("what is stored reads back", async () => {
  const held = new HeldBack([["temp/device=p1", 20.5]]);
  const kv = new KvMemory();
  assert.equal(readHeldBack(kv).size, 0);
  await kv.commit([held.write()]);
  assert.equal(readHeldBack(kv).floorOf("gw1/temp/device=p1"), 20.5);
});

test("too many keys share the floor of their pipeline, which is that of the furthest", () => {
  const held = new HeldBack();
  for (let key = 0; key <= limits.heldBackKeysMax; key++) held.raise(`temp/k=${key}`, key);
  assert.equal(held.size, 1);
  assert.equal(held.floorOf("gw1/temp/k=3"), limits.heldBackKeysMax);
  held.raise("temp/k=3", 5);
  assert.equal(held.floorOf("gw1/temp/k=3"), limits.heldBackKeysMax);
  assert.equal(held.floorOf("gw1/other/k=3"), undefined);
});
