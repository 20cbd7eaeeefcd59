import assert from "node:assert/strict";
import { test } from "node:test";
import { Catalog } from "../../core/catalog.ts";
import type { Tags } from "../../core/frame.ts";
import type { Raw, Summary } from "../../core/record.ts";
import { deviceId, millis, seriesId, sourceId } from "../../core/units.ts";
import { chooseRecords } from "./erasure-records.ts";

/** p1 and p2 on line a, p3 on line b; each has a temperature and a speed. */
function catalogOfThree(): Catalog {
  const catalog = new Catalog();
  catalog.define({ kind: "source", id: sourceId(0), name: "plant" });
  for (const [at, line] of ["a", "a", "b"].entries()) {
    const tags: Tags = [
      ["device", `p${at + 1}`],
      ["line", line],
    ];
    catalog.define({ kind: "device", id: deviceId(at), source: sourceId(0), tags });
    for (const [of, metric] of ["temp", "speed"].entries()) {
      const id = seriesId(2 * at + of);
      catalog.define({ kind: "series", id, device: deviceId(at), metric });
    }
  }
  return catalog;
}

function summaryOf(pipeline: string, key: Tags): Summary {
  const [start, end] = [millis(0), millis(10_000)];
  const rest = { revision: 0, count: 1, fields: { max: 7 }, arrivalTimed: 0 };
  return { kind: "summary", pipeline, key, start, end, ...rest };
}

test("records of keys that only the erased series have are chosen, those of others and of all are not", () => {
  const { tells, kept } = chooseRecords(catalogOfThree(), {
    series: [seriesId(0), seriesId(1)],
    keys: { own: [{ pipeline: "now", key: [["line", "x"]] }], shared: [] },
    pipelines: ["now"],
  });
  assert.ok(tells(summaryOf("now", [["line", "x"]])), "what the pipeline knows goes before tags");
  assert.ok(tells(summaryOf("before", [["device", "p1"]])));
  assert.ok(
    tells(
      summaryOf("before", [
        ["device", "p1"],
        ["metric", "temp"],
      ]),
    ),
  );
  for (const key of [[["device", "p2"]], [["line", "b"]], [["line", "nowhere"]]] as const) {
    assert.ok(!tells(summaryOf("before", key)));
  }
  assert.deepEqual(kept(), []);
});

test("what stays of them in records of earlier pipelines is told, once for each key", () => {
  const known = { pipeline: "now", key: [["line", "a"]] } as const;
  const { tells, kept } = chooseRecords(catalogOfThree(), {
    series: [seriesId(0), seriesId(1)],
    keys: { own: [], shared: [known] },
    pipelines: ["now"],
  });
  for (let n = 0; n < 2; n++) {
    assert.ok(!tells(summaryOf("before", [["line", "a"]])));
    assert.ok(!tells(summaryOf("before", [["metric", "temp"]])));
    assert.ok(!tells(summaryOf("older", [])));
    assert.ok(!tells(summaryOf("now", [["line", "a"]])));
    assert.ok(!tells(summaryOf("now", [["metric", "temp"]])), "it knows that they are not in it");
  }
  assert.deepEqual(kept(), [
    known,
    { pipeline: "before", key: [["line", "a"]] },
    { pipeline: "before", key: [["metric", "temp"]] },
    { pipeline: "older", key: [] },
  ]);
});

test("raw readings are those of their series, by source and name", () => {
  const { tells } = chooseRecords(catalogOfThree(), {
    series: [seriesId(0)],
    keys: { own: [], shared: [] },
    pipelines: [],
  });
  const rawOf = (source: string, series: string): Raw => ({
    kind: "raw",
    request: "r1",
    part: 0,
    source,
    series,
    times: [millis(0)],
    values: [1],
    arrivalTimed: [],
  });
  assert.ok(tells(rawOf("plant", "temp{device=p1,line=a}")));
  assert.ok(!tells(rawOf("lab", "temp{device=p1,line=a}")));
  assert.ok(!tells(rawOf("plant", "speed{device=p1,line=a}")));
});
