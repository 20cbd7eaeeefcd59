import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { Fault } from "../../core/faults.ts";
import {
  bootsMax,
  type Cursor,
  cursorKey,
  decodeCursor,
  digestAfter,
  emptyDigest,
  encodeCursor,
  marksMax,
  withBoot,
} from "./cursor.ts";

/** Objects as our own code makes them, with a prototype. */
function record<T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

const whole = fc.maxSafeNat();
function hex(bytes: number): fc.Arbitrary<string> {
  return fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((random) => Buffer.from(random).toString("hex"));
}
const marks = record({ outbox: hex(16), seq: whole, digest: hex(16) });
const boots = record({ id: hex(8), seq: whole });
const cursors: fc.Arbitrary<Cursor> = record({
  agent: fc
    .string({ minLength: 1, maxLength: 64, unit: "binary" })
    .filter((text) => text.isWellFormed()),
  lane: fc.constantFrom("alerts", "summaries"),
  mark: marks,
  boots: fc.array(boots, { maxLength: bootsMax }),
  before: fc.array(marks, { maxLength: marksMax }),
  version: fc.constant("0.1.0"),
});

test("a cursor is read back as it was written", () => {
  fc.assert(
    fc.property(cursors, (cursor) => {
      assert.deepEqual(decodeCursor(encodeCursor(cursor), "here"), cursor);
    }),
  );
});

test("a cursor with full lists and the largest numbers fits into the metadata of an offset", () => {
  const mark = { outbox: "f".repeat(32), seq: Number.MAX_SAFE_INTEGER, digest: "f".repeat(32) };
  const boot = { id: "f".repeat(16), seq: Number.MAX_SAFE_INTEGER };
  const bytes = encodeCursor({
    agent: "ä".repeat(255),
    lane: "summaries",
    mark,
    boots: Array.from({ length: bootsMax }, () => boot),
    before: Array.from({ length: marksMax }, () => mark),
    version: "10.20.30-rc.40",
  });
  assert.ok(bytes.length < 4_000, `${bytes.length} bytes`);
});

test("the bytes of version 1 stay as they are", () => {
  const cursor: Cursor = {
    agent: "gw1",
    lane: "summaries",
    mark: { outbox: "0".repeat(31) + "1", seq: 2, digest: "a".repeat(32) },
    boots: [{ id: "7c".repeat(8), seq: 0 }],
    before: [{ outbox: "b".repeat(32), seq: 77, digest: "5".repeat(32) }],
    version: "0.1.0",
  };
  assert.equal(
    new TextDecoder().decode(encodeCursor(cursor)),
    '{"v":1,"agent":"gw1","lane":"summaries","outbox":"00000000000000000000000000000001","seq":2,' +
      '"digest":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","boots":[["7c7c7c7c7c7c7c7c",0]],' +
      '"before":[["bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",77,"55555555555555555555555555555555"]],"weir":"0.1.0"}',
  );
  assert.equal(new TextDecoder().decode(cursorKey("gw1", "alerts")), "gw1/alerts");
});

test("the digest is a chain of SHA-256 over the values", () => {
  const one = digestAfter(emptyDigest, Buffer.from("one"));
  const two = digestAfter(one, Buffer.from("two"));
  assert.deepEqual(
    [one, two],
    ["b4e11d330f99c77032854a35c4a4adcb", "4c9a32a8b8b122d9cb183a5431705576"],
  );
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 9_000 }), { maxLength: 5 }), (values) => {
      let expected = Buffer.alloc(16);
      let digest = emptyDigest;
      for (const value of values) {
        digest = digestAfter(digest, value);
        expected = createHash("sha256").update(expected).update(value).digest().subarray(0, 16);
      }
      assert.equal(digest, expected.toString("hex"));
    }),
  );
});

test("a process is listed once, the newest last, and the oldest are forgotten", () => {
  let list = withBoot([], { id: "first", seq: 0 });
  list = withBoot(list, { id: "first", seq: 5 });
  assert.deepEqual(list, [{ id: "first", seq: 0 }]);
  for (let n = 1; n <= bootsMax; n++) list = withBoot(list, { id: `next ${n}`, seq: n });
  assert.equal(list.length, bootsMax);
  assert.deepEqual([list[0]?.id, list.at(-1)?.id], ["next 1", `next ${bootsMax}`]);
});

test("a cursor of a newer weir, or what is none, is a fault that says where it was read", () => {
  const faultOf = (text: string): Fault => {
    try {
      decodeCursor(Buffer.from(text), "the cursor in c");
    } catch (error) {
      if (error instanceof Fault) return error;
    }
    throw new Error("it was decoded");
  };
  const newer = faultOf('{"v":2}');
  assert.equal(newer.code, "FORMAT_TOO_NEW");
  assert.match(newer.message, /the cursor in c has version 2, this weir knows 1/);
  for (const text of [
    "",
    "{}",
    "[]",
    '{"v":1,"agent":"a","lane":"raw"}',
    '{"v":1,"lane":"alerts"}',
  ]) {
    assert.equal(faultOf(text).code, "STORE_FAILED", text);
    assert.match(faultOf(text).message, /the cursor in c/);
  }
});
