import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32c as libraryCrc32c } from "@platformatic/kafka";
import fc from "fast-check";
import { crc32c } from "./crc32c.ts";

test("the vectors of RFC 3720, appendix B.4, hold", () => {
  // The RFC lists the bytes as they go over the wire, lowest first.
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c);
  const scsiRead =
    "01c000000000000000000000000000001400000000000400000000140000001828000000000000000200000000000000";
  assert.equal(crc32c(Buffer.from(scsiRead, "hex")), 0xd9963a56);
});

test("the check value of the polynomial holds, and nothing has the checksum 0", () => {
  assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(0)), 0);
});

test("any bytes from any start have the checksum that the client's own code finds", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, drawn) => {
      const start = drawn % (bytes.length + 1);
      assert.equal(crc32c(bytes, start), libraryCrc32c(bytes.slice(start)));
    }),
  );
});
