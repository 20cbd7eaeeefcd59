import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Kv, KvWrite } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { openCheckedKv, readCheckedKv, surveyValues } from "./checked-kv.ts";
import { decodeChecked, encodeChecked } from "./checked-value.ts";
import { KvMemory } from "./kv-memory.ts";
import { stateKey } from "./kv-key.ts";

const utf8 = new TextEncoder();
const textOf = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

async function storeWith(entries: Readonly<Record<string, string>>): Promise<KvMemory> {
  const kv = new KvMemory();
  const writes = Object.entries(entries).map(([key, text]) => ({ key, value: utf8.encode(text) }));
  await kv.commit(writes);
  return kv;
}

/** The store with one bit of a value flipped. */
function withFlip(kv: KvMemory, key: string, bit: number): KvMemory {
  const image = new Map(kv.image());
  const value = image.get(key)!.slice();
  value[bit >>> 3]! ^= 1 << (bit & 7);
  return new KvMemory({ image: image.set(key, value) });
}

const anyLength = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.uint8Array({
    minLength: limits.copiedValueBytesMax - 8,
    maxLength: 2 * limits.copiedValueBytesMax + 16,
  }),
);

test("a value comes back as it was given, and no flipped bit changes it", () => {
  fc.assert(
    fc.property(anyLength, fc.nat(), (bytes, at) => {
      const value = encodeChecked("emitted", bytes);
      assert.deepEqual(decodeChecked("emitted", value), { kind: "value", bytes, isWhole: true });
      const bit = at % (8 * value.length);
      value[bit >>> 3]! ^= 1 << (bit & 7);
      const isTwice = bytes.length <= limits.copiedValueBytesMax;
      assert.deepEqual(
        decodeChecked("emitted", value),
        isTwice ? { kind: "value", bytes, isWhole: false } : { kind: "damaged" },
      );
    }),
  );
});

test("a value under the key of another, or a part of one, is damaged", () => {
  const value = encodeChecked("table/0000000000000001", utf8.encode('{"level":0}'));
  assert.equal(decodeChecked("table/0000000000000003", value).kind, "damaged");
  for (let length = 0; length < value.length; length++) {
    assert.equal(
      decodeChecked("table/0000000000000001", value.subarray(0, length)).kind,
      "damaged",
      `${length} of ${value.length} bytes`,
    );
  }
});

test("what is written through it is checked, but for blocks, which have checksums of their own", async () => {
  const kv = new KvMemory();
  const checked = await openCheckedKv(kv);
  const keys = ["catalog/0000000000000000", "emitted", "outbox/alerts/0000000000000000", "tables"];
  await checked.commit(keys.map((key) => ({ key, value: utf8.encode(key) })));
  assert.deepEqual(
    checked.range({ from: "!", to: "~" }).map(({ key, value }) => [key, textOf(value)]),
    [...keys, "format"].toSorted().map((key) => [key, key === "format" ? '{"version":4}' : key]),
  );
  assert.equal(textOf(kv.get(keys[0]!)), keys[0]);
  assert.notEqual(textOf(kv.get("emitted")), "emitted");
  await checked.commit([{ key: "emitted", value: undefined }]);
  assert.equal(checked.get("emitted"), undefined);
  assert.equal(kv.get("emitted"), undefined);
});

test("a damaged long value is a fault that names its key, and is left out where one asks for that", async () => {
  const kv = new KvMemory();
  const checked = await openCheckedKv(kv);
  const long = new Uint8Array(5_000).fill(7);
  await checked.commit([
    { key: "checkpoint", value: long.slice() },
    { key: "emitted", value: Uint8Array.of(1) },
  ]);
  const flipped = readCheckedKv(withFlip(kv, "checkpoint", 12_345));
  assert.throws(() => flipped.get("checkpoint"), { code: "STORE_FAILED", message: /checkpoint/ });
  assert.throws(() => flipped.range({ from: "!", to: "~" }), /checkpoint/);
  const damaged: string[] = [];
  const left = flipped.range({ from: "a", to: "f", onDamaged: (key) => damaged.push(key) });
  assert.deepEqual([left.map(({ key }) => key), damaged], [["emitted"], ["checkpoint"]]);
});

test("opening writes a value again that has lost one of its copies", async () => {
  const kv = new KvMemory();
  const checked = await openCheckedKv(kv);
  await checked.commit([{ key: "tables", value: utf8.encode('{"next":12}') }]);
  const bits = 8 * kv.get("tables")!.length;
  for (let bit = 0; bit < bits; bit++) {
    const flipped = withFlip(kv, "tables", bit);
    assert.deepEqual([...surveyValues(flipped)], [{ key: "tables", extent: "copy" }]);
    assert.equal(textOf(readCheckedKv(flipped).get("tables")), '{"next":12}');
    await openCheckedKv(flipped);
    assert.deepEqual(flipped.image(), kv.image());
  }
});

test("chunks of operator state are mended by commits after they were read, a few at a time", async () => {
  const kv = new KvMemory();
  const before = await openCheckedKv(kv);
  const keys = Array.from({ length: 40 }, (_, chunk) => stateKey("w/counts", chunk));
  const commit = async (store: Kv, more: readonly KvWrite[] = []): Promise<void> => {
    await store.commit([{ key: "emitted", value: utf8.encode("{}") }, ...more]);
  };
  const isLong = (index: number): boolean => index % 4 === 0;
  const bytesOf = (index: number): number => (isLong(index) ? 4_000 : 1 + index * 12);
  const values = keys.map((key, index) => ({ key, value: new Uint8Array(bytesOf(index)).fill(3) }));
  await commit(before, values);
  const short = keys.filter((_, index) => !isLong(index));
  const flipped = short.reduce((store, key) => withFlip(store, key, 3), kv);
  const isMended = (key: string): boolean => {
    return Buffer.compare(flipped.get(key)!, kv.get(key)!) === 0;
  };
  const store = await openCheckedKv(flipped);
  await commit(store);
  assert.equal(short.some(isMended), false, "what was not read is not known");
  for (const key of keys) assert.equal(store.get(key)?.[0], 3);
  const [written, removed] = [short[0]!, short[1]!];
  const four = { key: written, value: Uint8Array.of(4) };
  await commit(store, [four, { key: removed, value: undefined }]);
  const rest = short.slice(2);
  assert.equal(rest.filter(isMended).length, limits.kvMendedPerCommitMax);
  await commit(store);
  assert.equal(rest.filter(isMended).length, rest.length);
  assert.equal(store.get(written)?.[0], 4);
  assert.equal(store.get(removed), undefined);
});

test("a store of an older version gets checksums once, and is read without them before", async () => {
  for (const version of [1, 2, 3]) {
    const entries = {
      format: `{"version":${version}}`,
      "catalog/0000000000000000": "a block",
      checkpoint: "x".repeat(4_000),
      emitted: '{"through":7}',
      "outbox/alerts/0000000000000003": "another block",
      "table/0000000000000000": '{"level":0}',
      wear: "{}",
    };
    const kv = await storeWith(entries);
    assert.equal(textOf(readCheckedKv(kv).get("emitted")), '{"through":7}');
    for (let opening = 0; opening < 2; opening++) {
      const checked = await openCheckedKv(kv);
      for (const [key, text] of Object.entries({ ...entries, format: '{"version":4}' })) {
        assert.equal(textOf(checked.get(key)), text);
      }
    }
    const bytes = kv.image();
    assert.equal(textOf(bytes.get("catalog/0000000000000000")), "a block");
    assert.equal(bytes.get("checkpoint")!.length, 4_004);
    assert.equal(bytes.get("wear")!.length, 12);
  }
});

test("no flipped bit of the version makes a store with checksums one without", async () => {
  for (const version of [4, 8, 10, 13]) {
    const kv = new KvMemory();
    const checked = await openCheckedKv(kv);
    await checked.commit([
      { key: "emitted", value: utf8.encode('{"through":7}') },
      { key: "format", value: utf8.encode(`{"version":${version}}`) },
    ]);
    for (let bit = 0; bit < 8 * kv.get("format")!.length; bit++) {
      await assert.rejects(openCheckedKv(withFlip(kv, "format", bit)), /format/);
      assert.throws(() => readCheckedKv(withFlip(kv, "format", bit)), /format/);
    }
  }
});

test("a store of a newer version, or of somebody else, is refused with a sentence", async () => {
  const newer = await storeWith({ format: '{"version":15}' });
  await assert.rejects(openCheckedKv(newer), { code: "FORMAT_TOO_NEW" });
  const other = await storeWith({ something: "else" });
  await assert.rejects(openCheckedKv(other), { code: "STORE_FAILED", message: /format version/ });
});
