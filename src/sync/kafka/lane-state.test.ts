import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Fault } from "../../core/faults.ts";
import {
  decodeLaneState,
  encodeLaneState,
  type LaneState,
  laneName,
  withIncident,
} from "./lane-state.ts";

/** Objects as our own code makes them, with a prototype. */
function record<T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

const whole = fc.maxSafeNat();
const text = fc.string({ maxLength: 40 });
const hex = (digits: number): fc.Arbitrary<string> =>
  fc.stringMatching(new RegExp(`^[0-9a-f]{${digits}}$`));
const marks = record({ outbox: hex(32), seq: whole, digest: hex(32) });
const incidents = record({ first: whole, next: whole, what: text });
const states: fc.Arbitrary<LaneState> = record({
  agent: text,
  cluster: text,
  mark: marks,
  number: whole,
  there: fc.option(marks, { nil: undefined }),
  boots: fc.array(record({ id: hex(16), seq: whole }), { maxLength: 8 }),
  before: fc.array(marks, { maxLength: 8 }),
  forkedFrom: text,
  intent: fc.option(
    record({ number: whole, mark: marks, delivery: fc.constantFrom("transactional", "upsert") }),
    { nil: undefined },
  ),
  place: fc.option(record({ topic: text, partition: whole, offset: whole }), { nil: undefined }),
  incidents: record({ count: whole, last: fc.option(incidents, { nil: undefined }) }),
});

test("a lane's state is read back as it was written", () => {
  fc.assert(
    fc.property(states, (state) => {
      assert.deepEqual(decodeLaneState(encodeLaneState(state), "here"), state);
    }),
  );
});

test("a state that is damaged, or of a later version, is a fault that names its place", () => {
  const damaged = ["", "{}", '{"v":1,"agent":"a","cluster":"c","mark":[1]}'];
  for (const [stored, code] of [
    ...damaged.map((text) => [text, "STORE_FAILED"] as const),
    ['{"v":2}', "FORMAT_TOO_NEW"] as const,
  ]) {
    const isNamed = (error: unknown): boolean =>
      error instanceof Fault && error.code === code && /uplink\/k\/alerts/.test(error.message);
    assert.throws(() => decodeLaneState(Buffer.from(stored), "uplink/k/alerts"), isNamed, stored);
  }
});

test("incidents are counted, and the last one is kept", () => {
  fc.assert(
    fc.property(states, incidents, (state, incident) => {
      const after = withIncident(state, incident);
      assert.deepEqual(after.incidents, { count: state.incidents.count + 1, last: incident });
    }),
  );
});

test("a lane's name is that of its transactional id and group", () => {
  assert.equal(laneName("gw1", "summaries"), "weir.gw1.summaries");
});
