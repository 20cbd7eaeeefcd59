/** The byte of a value by its keys, and the field by its byte, in both formats that have fields. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { encode } from "cbor-x";
import fc from "fast-check";
import type { Keys } from "./decoder.ts";
import { fieldAt, isZonelessAt, offsetOfKeys } from "./places.ts";

const name = fc.oneof(fc.constantFrom("a", "b.c", "é", '"\\'), fc.string({ maxLength: 4 }));
const { payload: anyPayload } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.integer(),
    fc.constantFrom("on", null),
    tie("payload"),
  ),
  payload: fc.oneof(
    fc.dictionary(name, tie("value"), { minKeys: 1, maxKeys: 4 }),
    fc.array(tie("value"), { minLength: 1, maxLength: 4 }),
  ),
}));

/** Every value below `value`, with its keys. */
function* valuesOf(value: unknown, keys: Keys = []): Generator<readonly [Keys, unknown]> {
  if (keys.length > 0) yield [keys, value];
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    yield* valuesOf(inner, [...keys, Array.isArray(value) ? Number(key) : key]);
  }
}

test("a value is found by its keys, and its field by the byte where it begins", () => {
  fc.assert(
    fc.property(anyPayload, (payload) => {
      for (const format of ["json", "cbor"] as const) {
        const bytes = format === "json" ? Buffer.from(JSON.stringify(payload)) : encode(payload);
        const around = Buffer.concat([Buffer.from("{["), bytes, Buffer.from("}")]);
        for (const [keys, value] of valuesOf(payload)) {
          const at = { start: 2, end: 2 + bytes.length, keys };
          const offset = offsetOfKeys(format, around, at);
          const begins = format === "json" ? Buffer.from(JSON.stringify(value)) : encode(value);
          assert.ok(bytes.subarray(offset).indexOf(begins) === 0, `${format} ${keys.join()}`);
          const names = keys.filter((key) => typeof key === "string");
          const field = names.length === 0 ? undefined : names.join(".");
          assert.equal(fieldAt(bytes, offset), field);
          // The payloads of dead letters are cut.
          assert.equal(fieldAt(bytes.subarray(0, offset + 1), offset), field);
        }
      }
    }),
  );
});

test("a byte within a value, of a payload without fields, or of none is in no field", () => {
  for (const payload of ['{"a":12}', "12", "", "hot", '"x"']) {
    for (const at of [0, 6, 99]) assert.equal(fieldAt(Buffer.from(payload), at), undefined);
  }
});

test("only a time that lacks nothing but its zone is zoneless", () => {
  const cases = [
    ["2026-11-29T20:00:00", true],
    ["2026-11-29 20:00", true],
    ["2026-11-29T20:00:00.000000000000", true],
    ["2026-11-29T20:00:00Z", false],
    ["2026-11-29T25:00:00", false],
    ["2026-11-29", false],
    ["", false],
    [true, false],
    [1e30, false],
  ] as const;
  for (const [ts, isZoneless] of cases) {
    for (const format of ["json", "cbor"] as const) {
      const payload = format === "json" ? Buffer.from(JSON.stringify({ ts })) : encode({ ts });
      const at = offsetOfKeys(format, payload, { start: 0, end: payload.length, keys: ["ts"] });
      assert.equal(isZonelessAt(payload, at), isZoneless, `${format} ${ts}`);
    }
  }
  assert.equal(isZonelessAt(Buffer.from('{"ts":"2026-11-29T20:00:00'), 6), false);
});
