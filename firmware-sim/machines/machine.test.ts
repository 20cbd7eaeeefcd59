import assert from "node:assert/strict";
import { test } from "node:test";
import { randomOf } from "../random.ts";
import { catalog, entryAt } from "./catalog.ts";
import type { Machine, Value } from "./machine.ts";

const stepsPerDay = 8_640;

/** Two days of a machine at one sample per ten seconds, as columns by metric name. */
function record(machine: Machine, steps: number = 2 * stepsPerDay): Map<string, Value[]> {
  const columns = new Map<string, Value[]>(machine.metrics.map(({ name }) => [name, []]));
  for (let step = 0; step < steps; step += 1) {
    const values = machine.step(10, (step % stepsPerDay) / stepsPerDay);
    for (const [index, { name }] of machine.metrics.entries()) {
      columns.get(name)?.push(values[index] ?? Number.NaN);
    }
  }
  return columns;
}

function numbersOf(columns: Map<string, Value[]>, name: string): number[] {
  return (columns.get(name) ?? []).filter((value) => typeof value === "number");
}

function machineOf(kind: string, seed: number): Machine {
  const entry = catalog.find((each) => each.kind === kind);
  assert.ok(entry);
  return entry.make(randomOf(seed, kind));
}

for (const { kind, make } of catalog) {
  test(`${kind}: every value stays in the range and type of its sensor`, () => {
    for (let seed = 0; seed < 5; seed += 1) {
      const machine = make(randomOf(seed, kind));
      const columns = record(machine);
      for (const metric of machine.metrics) {
        for (const value of columns.get(metric.name) ?? []) {
          if (metric.kind === "symbol") assert.ok(metric.symbols.includes(String(value)));
          else assert.equal(typeof value, metric.kind);
          if (metric.kind !== "number" || typeof value !== "number") continue;
          assert.ok(value >= metric.min && value <= metric.max, `${metric.name} ${value}`);
          assert.equal(value, Number(value.toFixed(metric.decimals)));
        }
      }
    }
  });

  test(`${kind}: an hour between two samples does not blow up`, () => {
    const machine = make(randomOf(3, kind));
    for (let hour = 0; hour < 200; hour += 1) {
      for (const value of machine.step(3_600, (hour % 24) / 24)) assert.ok(value === value);
    }
  });
}

test("a cold room is held near its set point by a compressor that switches", () => {
  const columns = record(machineOf("coldroom", 1));
  const temperatures = numbersOf(columns, "temperature");
  assert.ok(Math.min(...temperatures) > 0 && Math.max(...temperatures) < 15);
  const on = (columns.get("compressor") ?? []).filter((value) => value === true).length;
  const duty = on / temperatures.length;
  assert.ok(duty > 0.1 && duty < 0.9, `duty ${duty}`);
});

test("a pump at rest draws and moves next to nothing, a running one both", () => {
  const columns = record(machineOf("pump", 1));
  const running = columns.get("running") ?? [];
  const current = numbersOf(columns, "current");
  const flow = numbersOf(columns, "flow");
  // Away from the switching moment, where speed is still on its way.
  for (let row = 3; row < running.length; row += 1) {
    const recent = running.slice(row - 3, row + 1);
    if (recent.every((value) => value === true)) {
      assert.ok((flow[row] ?? 0) > 15 && (current[row] ?? 0) > 4);
    }
    if (recent.every((value) => value === false)) {
      assert.ok((flow[row] ?? 0) < 5 && (current[row] ?? 0) < 2);
    }
  }
  assert.ok(running.includes(true) && running.includes(false));
});

test("a tank's level is the integral of its flows", () => {
  const columns = record(machineOf("tank", 1), 2_000);
  const level = numbersOf(columns, "level");
  const valve = columns.get("valve") ?? [];
  for (let row = 60; row < level.length; row += 60) {
    const states = valve.slice(row - 60, row + 1);
    const change = (level[row] ?? 0) - (level[row - 60] ?? 0);
    if (states.every((open) => open === true)) assert.ok(change > -0.5);
    if (states.every((open) => open === false)) assert.ok(change < 0.5);
  }
});

test("an energy register never runs backwards and follows power", () => {
  const columns = record(machineOf("meter", 1));
  const energy = numbersOf(columns, "energy");
  const power = numbersOf(columns, "power");
  for (let row = 1; row < energy.length; row += 1) {
    assert.ok((energy[row] ?? 0) >= (energy[row - 1] ?? 0));
  }
  const grown = (energy.at(-1) ?? 0) - (energy[0] ?? 0);
  const integral = power.slice(1).reduce((sum, watts) => sum + (watts * 10) / 3_600_000, 0);
  // The register has 1 Wh of resolution, power 3 W of noise.
  assert.ok(Math.abs(grown - integral) < 0.02 * grown, `${grown} ${integral}`);
});

test("the shares of the catalog cover [0, 1)", () => {
  assert.equal(entryAt(0).kind, catalog[0]?.kind);
  assert.equal(entryAt(1 - Number.EPSILON).kind, catalog.at(-1)?.kind);
});
