import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Catalog } from "../../core/catalog.ts";
import { deviceId, seriesId, sourceId } from "../../core/units.ts";
import { takesSeries } from "../../edge-ops/where.ts";
import { parseSelector } from "./selector.ts";

function parsed(text: string): unknown {
  const selector = parseSelector(text);
  return selector.kind === "where"
    ? [selector.where.metrics, selector.where.tags]
    : selector.message;
}

test("metric and tags, with globs, each of them optional", () => {
  assert.deepEqual(parsed("temp*{device=p1,line=a b}"), [["temp*"], { device: "p1", line: "a b" }]);
  assert.deepEqual(parsed("temperature"), [["temperature"], {}]);
  assert.deepEqual(parsed("temperature{}"), [["temperature"], {}]);
  assert.deepEqual(parsed("{line=*}"), [[], { line: "*" }]);
  assert.deepEqual(parsed(""), [[], {}]);
  assert.deepEqual(parsed('"a{b"{"x,y"="\\"=\\u00e9"}'), [["a{b"], { "x,y": '"=é' }]);
  assert.deepEqual(parsed('""{a=""}'), [[""], { a: "" }]);
  assert.deepEqual(parsed("été{où=là}"), [["été"], { où: "là" }]);
});

test("a mistake names its place", () => {
  assert.equal(
    parsed("t{device=}"),
    'selector "t{device=}", after 9 characters: device has no value: * stands for any',
  );
  assert.match(String(parsed("t{device")), /after 8 characters: "=" is missing/);
  for (const open of ["t{", "t{a=b", "t{a=b,"]) {
    assert.equal(
      parsed(open),
      `selector "${open}", after ${open.length} characters: "}" is missing`,
    );
  }
  assert.match(String(parsed('t{a="b"c=d}')), /after 7 characters: "," or "}" is missing/);
  assert.match(String(parsed("t{a=b}x")), /after 6 characters: more follows/);
  assert.match(String(parsed("t{a=b,a=c}")), /a is there twice/);
  assert.match(String(parsed("t{=b}")), /a tag's name is missing/);
  assert.match(String(parsed('"\\x"')), /no JSON string/);
  assert.match(String(parsed('"open')), /more follows/);
});

test("the name of any series selects it", () => {
  const signs = fc.constantFrom("{", "}", "=", ",", '"', "\\", "*", " ", "é", "\n");
  const text = fc.oneof(fc.string({ unit: signs, maxLength: 8 }), fc.string({ unit: "grapheme" }));
  const name = fc.string({ unit: fc.constantFrom("a", "b", "_", ".", "-"), minLength: 1 });
  const tags = fc.uniqueArray(fc.tuple(name, text), { selector: ([name]) => name, maxLength: 3 });
  fc.assert(
    fc.property(text, tags, (metric, pairs) => {
      const catalog = new Catalog();
      catalog.define({ kind: "source", id: sourceId(0), name: "plant" });
      catalog.define({ kind: "device", id: deviceId(0), source: sourceId(0), tags: pairs });
      catalog.define({ kind: "series", id: seriesId(0), device: deviceId(0), metric });
      const selector = parseSelector(catalog.seriesName(seriesId(0)));
      assert.ok(selector.kind === "where");
      assert.ok(takesSeries(catalog, selector.where)(seriesId(0)));
    }),
  );
});
