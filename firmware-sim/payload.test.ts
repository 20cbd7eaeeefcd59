import assert from "node:assert/strict";
import { test } from "node:test";
import { Decoder } from "cbor-x";
import fc from "fast-check";
import { encodeBare, encodeBatch, encodeCbor, encodeJson, encodePoint } from "./payload.ts";

const flat = {
  ts: 1_764_000_000_000,
  seq: 12,
  fields: [
    ["temperature", 4.25],
    ["door", false],
    ["mode", "auto"],
  ],
} as const;

const decoder = new Decoder({ useRecords: false, mapsAsObjects: true });

/** The JSON text of decoded CBOR. cbor-x gives a bigint for every 64-bit integer, so for ts too. */
function textOf(payload: Buffer): string {
  const decoded: unknown = decoder.decode(payload);
  return JSON.stringify(decoded, (_, value: unknown) =>
    typeof value === "bigint" ? Number(value) : value,
  );
}

test("the bytes are the documented ones", () => {
  assert.equal(
    encodeJson(flat).toString(),
    '{"ts":1764000000000,"seq":12,"temperature":4.25,"door":false,"mode":"auto"}',
  );
  assert.equal(
    encodeCbor(flat).toString("hex"),
    "a56274731b0000019ab697e800637365710c6b74656d7065726174757265fb401100000000000064646f6f72f4" +
      "646d6f6465646175746f",
  );
  assert.equal(
    encodeBatch([{ ts: 2, seq: 0, fields: [["level", 1]] }]).toString(),
    '[{"ts":2,"seq":0,"level":1}]',
  );
  assert.equal(encodeBare(-0.5).toString(), "-0.5");
  assert.equal(
    encodePoint(4.25, 1_764_000_000_000).toString(),
    '{"value":4.25,"ts":1764000000000}',
  );
});

test("a device without a clock sends neither ts nor seq", () => {
  const clockless = { ts: undefined, seq: undefined, fields: flat.fields };
  const expected = '{"temperature":4.25,"door":false,"mode":"auto"}';
  assert.equal(encodeJson(clockless).toString(), expected);
  assert.equal(textOf(encodeCbor(clockless)), expected);
});

test("CBOR decodes to the same values as JSON", () => {
  const value = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.string(),
  );
  const name = fc.stringMatching(/^[a-z]{3,12}$/).filter((text) => text !== "seq");
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 45 }),
      fc.integer({ min: 0, max: 2 ** 31 }),
      fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key, maxLength: 8 }),
      (ts, seq, fields) => {
        const json: unknown = JSON.parse(encodeJson({ ts, seq, fields }).toString());
        const cbor: unknown = JSON.parse(textOf(encodeCbor({ ts, seq, fields })));
        assert.deepEqual(cbor, json);
      },
    ),
  );
});
