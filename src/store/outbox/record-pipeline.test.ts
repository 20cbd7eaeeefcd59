import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { millis } from "../../core/units.ts";
import { encodeAlert, encodeSummary } from "./record-codec.ts";
import { pipelineOfRecord } from "./record-pipeline.ts";

const name = fc.stringMatching(/^[a-z0-9_-]{1,64}$/);

test("a record tells its pipeline, whatever its key is", () => {
  fc.assert(
    fc.property(name, name, fc.string(), (agent, pipeline, tag) => {
      const key = [["device", tag]] as const;
      const summary = encodeSummary(agent, {
        kind: "summary",
        pipeline,
        key,
        start: millis(0),
        end: millis(10),
        revision: 0,
        count: 1,
        fields: {},
        arrivalTimed: 0,
      });
      const alert = encodeAlert(agent, {
        kind: "alert",
        pipeline,
        key: [["device", `${tag}/x`]],
        time: millis(0),
        reason: "rare_symbol",
        value: tag,
        score: 1,
        expected: 1,
        limit: 1,
      });
      assert.equal(pipelineOfRecord(summary), pipeline);
      assert.equal(pipelineOfRecord(alert), pipeline);
    }),
  );
});

test("bytes that are no record have no pipeline", () => {
  for (const text of ["", "{}", '{"v":1,"kind":"summary","id":"a', '{"v":1,"id":"a/b"}']) {
    assert.equal(pipelineOfRecord(Buffer.from(text)), undefined);
  }
});
