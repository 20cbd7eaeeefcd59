import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../../core/limits.ts";
import { encodeSummary } from "../../store/outbox/record-codec.ts";
import { millis } from "../../core/units.ts";
import { sampleAlert } from "../../../test/support/sample-alert.ts";
import { placeOf, textOfPlace } from "./stream-place.ts";
import { parseStreamRequest, type StreamRequest, unmatchedBy } from "./stream-request.ts";

function requestOf(search: string, lastEventId?: string): StreamRequest {
  const parsed = parseStreamRequest(new URLSearchParams(search), lastEventId);
  assert(parsed.kind === "request", parsed.kind === "refused" ? parsed.message : "");
  return parsed.request;
}

function summary(pipeline: string, device: string): Uint8Array {
  return encodeSummary("gw1", {
    kind: "summary",
    pipeline,
    key: [["device", device]],
    start: millis(0),
    end: millis(10),
    revision: 0,
    count: 1,
    fields: {},
    arrivalTimed: 0,
  });
}

test("a place is read as it was written, and nothing else is one", () => {
  const number = fc.nat({ max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(number, number, number, (alerts, summaries, raw) => {
      const place = { history: "0123456789abcdef", next: { alerts, summaries, raw } };
      assert.deepEqual(placeOf(textOfPlace(place)), place);
    }),
  );
  for (const text of [
    "",
    "0123456789abcdef",
    "0123456789abcdef.1.2",
    "0123456789abcdef.1.2.3.4",
    "0123456789ABCDEF.1.2.3",
    "0123456789abcdef.1.-2.3",
    "0123456789abcdef.1.2.9999999999999999",
  ]) {
    assert.equal(placeOf(text), undefined, text);
  }
});

test("alerts and summaries are streamed where nothing is said, alerts first, from now on", () => {
  const { queues, from, after, eventOf } = requestOf("");
  assert.deepEqual([queues, from, after], [["alerts", "summaries"], "now", undefined]);
  assert.equal(eventOf(summary("temp", "p1")), "summary");
  assert.equal(eventOf(sampleAlert(5)), "alert");
  assert.equal(requestOf("kinds=alerts").eventOf(summary("temp", "p1")), undefined);
});

test("patterns choose by pipeline and by key, as they are written in names", () => {
  const { eventOf } = requestOf("pipeline=temp*&key=device%3Dp*");
  assert.equal(eventOf(summary("temp@2", "p 1/2")), "summary");
  assert.equal(eventOf(summary("flow", "p1")), undefined);
  assert.equal(eventOf(summary("temp", "x1")), undefined);
  const spaced = requestOf("key=device%3Dp 1/2");
  assert.equal(spaced.eventOf(summary("temp", "p 1/2")), "summary");
});

test("a pipeline has its name for who asks for it, however often its definition changed", () => {
  const { eventOf } = requestOf("pipeline=temp&pipeline=f*w");
  for (const [name, event] of [
    ["temp", "summary"],
    ["temp@12", "summary"],
    ["flow@2", "summary"],
    ["temp2", undefined],
    ["temps@2", undefined],
  ] as const) {
    assert.equal(eventOf(summary(name, "p1")), event, name);
  }
  assert.equal(requestOf("pipeline=temp@2").eventOf(summary("temp", "p1")), undefined);
});

test("what matches no pipeline is named, and nothing where all are asked for", () => {
  const names = ["temp", "flow"];
  const asked = requestOf("pipeline=temp&pipeline=hours&pipeline=fl*&pipeline=x*");
  assert.deepEqual(unmatchedBy(names, asked), ["hours", "x*"]);
  assert.deepEqual(unmatchedBy(names, requestOf("key=a")), []);
  const definitions = requestOf("pipeline=temp@2&pipeline=fl*@3&pipeline=temp@*&pipeline=x@2");
  assert.deepEqual(unmatchedBy(names, definitions), ["x@2"]);
});

test("the header of a client that comes again goes before the parameter", () => {
  const header = "0123456789abcdef.1.2.3";
  assert.deepEqual(requestOf("after=0123456789abcdef.9.9.9", header).after, placeOf(header));
  assert.equal(requestOf("after=0123456789abcdef.9.8.7").after?.next.summaries, 8);
});

test("what is not understood is refused by name", () => {
  const refusals: readonly (readonly [string, RegExp])[] = [
    ["kindz=alerts", /kindz is no parameter: did you mean "kinds"/],
    ["kinds=alerts,frames", /"frames" is no kind: alerts, summaries, markers, raw/],
    ["from=yesterday", /from is now or kept/],
    ["after=7", /"7" is no id of an event/],
    [
      Array.from({ length: limits.streamPatternsMax + 1 }, () => "key=a").join("&"),
      /at most 16 patterns/,
    ],
  ];
  for (const [search, message] of refusals) {
    const parsed = parseStreamRequest(new URLSearchParams(search), undefined);
    assert.match(parsed.kind === "refused" ? parsed.message : "", message);
  }
});
