import assert from "node:assert/strict";
import { test } from "node:test";
import { Agenda } from "./agenda.ts";
import type { DeviceEvent, DeviceProgram } from "./event.ts";
import { integer, randomOf } from "./random.ts";

function program(index: number, times: readonly number[]): DeviceProgram {
  const events = times.map((at): DeviceEvent => ({ kind: "linkDown", at, until: index }));
  return { device: `d${index}`, timed: true, events: events.values() };
}

test("events come by time, then by device, then as planned", () => {
  const random = randomOf(1, "agenda");
  const plans = Array.from({ length: 40 }, () =>
    Array.from({ length: integer(random, 0, 30) }, () => integer(random, 0, 50)).sort(
      (a, b) => a - b,
    ),
  );
  const agenda = new Agenda(plans.map((times, index) => program(index, times)));
  const expected = plans
    .flatMap((times, index) => times.map((at) => ({ at, index })))
    .sort((a, b) => a.at - b.at || a.index - b.index);
  for (const { at, index } of expected) {
    assert.equal(agenda.first?.event.at, at);
    assert.equal(agenda.take().index, index);
  }
  assert.equal(agenda.first, undefined);
});
