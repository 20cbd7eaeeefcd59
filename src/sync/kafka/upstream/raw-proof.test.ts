import assert from "node:assert/strict";
import { test } from "node:test";
import type { Manifest, Raw } from "../../../core/record.ts";
import { millis } from "../../../core/units.ts";
import { encodeManifest, encodeRaw } from "../../../store/outbox/raw-codec.ts";
import { digestAfter, emptyDigest } from "../cursor.ts";
import type { Break } from "./break.ts";
import { RawProof } from "./raw-proof.ts";

function partOf(part: number, changes: Partial<Raw> = {}): Raw {
  return {
    kind: "raw",
    request: "r1",
    part,
    source: "plant",
    series: "t{device=p1}",
    times: [millis(2 * part), millis(2 * part + 1)],
    values: [part, "run"],
    arrivalTimed: [],
    ...changes,
  };
}

function manifestOf(parts: readonly Raw[], changes: Partial<Manifest> = {}): Manifest {
  const readings = parts.reduce((sum, { times }) => sum + times.length, 0);
  const digest = parts
    .map((part) => encodeRaw("gw1", part))
    .reduce((chain, bytes) => digestAfter(chain, bytes), emptyDigest);
  const series = { source: "plant", series: "t{device=p1}", readings };
  return {
    kind: "manifest",
    request: "r1",
    select: ["t"],
    from: millis(0),
    to: millis(100),
    outcome: "complete",
    reason: "",
    parts: parts.length,
    readings,
    digest,
    series: readings === 0 ? [] : [{ ...series, first: millis(0), last: millis(99) }],
    coarser: [],
    damaged: false,
    ...changes,
  };
}

/** The first break, or what was counted. */
function proven(
  records: readonly (Raw | Manifest)[],
  mayLackFront = false,
): Break["what"] | RawProof["count"] {
  const proof = new RawProof();
  for (const [number, record] of records.entries()) {
    const isRaw = record.kind === "raw";
    const value = isRaw ? encodeRaw("gw1", record) : encodeManifest("gw1", record);
    const key = `gw1/raw/${record.request}/${isRaw ? record.part : "manifest"}`;
    const at = { topic: "raw", partition: 0, offset: number };
    const place = { outbox: "0".repeat(32), lane: "raw", number, forkedFrom: undefined };
    const message = { at, ...place, key, value };
    const broken = isRaw
      ? proof.part(record, message, mayLackFront)
      : proof.manifest(record, message, mayLackFront);
    if (broken !== undefined) return broken.what;
  }
  return proof.count;
}

const [a, b, c] = [partOf(0), partOf(1), partOf(2)];
const whole = manifestOf([a, b, c]);

test("an answer is as its manifest says; one without a manifest is still open", () => {
  assert.deepEqual(proven([a, b, c, whole]), { answers: 1, readings: 6, open: 0 });
  assert.deepEqual(proven([a, b, c, whole, a, b, c, whole]), { answers: 2, readings: 12, open: 0 });
  assert.deepEqual(proven([a, b]), { answers: 0, readings: 0, open: 1 });
  const refused = manifestOf([], { outcome: "refused", reason: "why" });
  assert.deepEqual(proven([refused]), { answers: 1, readings: 0, open: 0 });
  const other = partOf(0, { request: "r2" });
  assert.deepEqual(proven([a, other, b, c, whole]), { answers: 1, readings: 6, open: 1 });
});

test("whatever is missing, repeated, changed or miscounted is a break", () => {
  assert.equal(proven([a, c, whole]), "missing");
  assert.equal(proven([b, c, whole]), "missing");
  assert.equal(proven([a, b, whole]), "counted");
  assert.equal(proven([whole]), "counted");
  assert.equal(proven([a, b, b, c, whole]), "repeated");
  assert.equal(proven([a, partOf(1, { values: [7, "run"] }), c, whole]), "counted");
  assert.equal(proven([a, b, c, { ...whole, readings: 7 }]), "counted");
  const series = whole.series.map((each) => ({ ...each, readings: 5 }));
  assert.equal(proven([a, b, c, { ...whole, series }]), "counted");
});

test("where the front may be gone nothing is compared, and no digest where readings were erased", () => {
  assert.deepEqual(proven([b, c, whole], true), { answers: 0, readings: 0, open: 0 });
  assert.deepEqual(proven([whole], true), { answers: 0, readings: 0, open: 0 });
  const erased = partOf(1, { times: [], values: [], erased: 2 });
  assert.deepEqual(proven([a, erased, c, whole]), { answers: 1, readings: 6, open: 0 });
  const fewer = partOf(1, { times: [], values: [], erased: 1 });
  assert.equal(proven([a, fewer, c, whole]), "counted");
});
