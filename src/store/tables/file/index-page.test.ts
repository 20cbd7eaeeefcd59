import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteWriter, MalformedBytes } from "../../../core/bytes.ts";
import {
  decodeIndexPage,
  encodeIndexPage,
  INDEX_ENTRY_BYTES_MAX,
  INDEX_PAGE_ENTRIES,
  type IndexEntry,
} from "./index-page.ts";

const uint32 = fc.nat({ max: 2 ** 32 - 1 });

function encoded(entries: readonly IndexEntry[]): Uint8Array {
  const bytesMax = INDEX_PAGE_ENTRIES * INDEX_ENTRY_BYTES_MAX;
  const writer = new ByteWriter({ bytes: bytesMax, bytesMax });
  encodeIndexPage(writer, entries);
  return writer.slice(0, writer.length);
}

test("any entries come back, in no more bytes than they may take", () => {
  const entry = fc.record(
    { series: uint32, at: uint32, bytes: uint32, checksum: uint32 },
    { noNullPrototype: true },
  );
  const pages = fc.uniqueArray(entry, {
    selector: ({ series }) => series,
    maxLength: INDEX_PAGE_ENTRIES,
    size: "max",
  });
  fc.assert(
    fc.property(pages, (drawn) => {
      const entries = drawn.toSorted((one, other) => one.series - other.series);
      assert.deepEqual(decodeIndexPage(encoded(entries)), entries);
    }),
  );
});

test("an entry takes 7 bytes where ids are dense and directories in their order", () => {
  const entries = Array.from({ length: INDEX_PAGE_ENTRIES }, (_, i) => ({
    series: 1_000 + i,
    at: i * 40,
    bytes: 40,
    checksum: i,
  }));
  // The first is told by itself.
  assert.equal(encoded(entries).length, INDEX_PAGE_ENTRIES * 7 + 1);
});

test("bytes that are no page are malformed, never something else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        for (const { at } of decodeIndexPage(bytes)) assert.ok(at >= 0);
      } catch (error) {
        assert.ok(error instanceof MalformedBytes, String(error));
      }
    }),
  );
});
