import assert from "node:assert/strict";
import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { Catalog } from "../../core/catalog.ts";
import { limits } from "../../core/limits.ts";
import { configOf } from "../config/config.ts";
import { Queries } from "../query/queries.ts";
import { ceilingOf, startAgent } from "../start.ts";
import { MemorySide } from "./memory-side.ts";

const MiB = 2 ** 20;
const ceiling = { bytes: 96 * MiB, from: "limits.memory" };

test("without a ceiling nothing is planned, watched or refused", async () => {
  const door = { ceiling: undefined, anonymousBytes: () => 1e12, collect: assert.fail };
  for (const side of [new MemorySide(undefined), new MemorySide(door)]) {
    const clock = new SimulatedClock(0);
    side.start(clock, { status: { inMemory: 1e9 }, wantFlush: assert.fail });
    await clock.pass(10 * limits.memoryLookMs);
    assert.equal(side.plan, undefined);
    assert.equal(side.status, undefined);
    assert.equal(side.isShort(), false);
    assert.equal(side.seriesMaxOf({ seriesMax: 7_000 }), 7_000);
    side.close();
  }
});

test("a ceiling flushes what is worth a table, and tells queries to come later while it is short", async () => {
  let bytes = 90 * MiB;
  let flushes = 0;
  const side = new MemorySide({ ceiling, anonymousBytes: () => bytes, collect: () => undefined });
  const clock = new SimulatedClock(0);
  const tables = { status: { inMemory: 100 }, wantFlush: () => void flushes++ };
  const queries = new Queries({
    catalog: new Catalog(),
    clock,
    snapshot: () => assert.fail("none is begun"),
    tiers: [],
    ...side.forQueries,
  });
  side.start(clock, tables);
  assert.equal(flushes, 0, "few readings are not worth a table");
  tables.status.inMemory = limits.memoryTableRowsStep;
  await clock.pass(limits.memoryLookMs);
  assert.equal(flushes, 1);
  assert.equal(queries.open(), undefined);
  assert.match(queries.busy, /^memory is short, .* try again later$/);
  bytes = 10 * MiB;
  await clock.pass(limits.memoryLookMs);
  assert.match(queries.busy, /^1 queries are under way/);
  assert.equal(side.seriesMaxOf({ seriesMax: 7_000 }), 2_048);
  side.close();
});

test("an agent that is started with a ceiling says what it keeps to", async () => {
  using folder = mkdtempDisposableSync(`${tmpdir()}/weir-ceiling-`);
  const config = configOf({ agent: "a", dataDirectory: folder.path, sources: [] });
  const set = { ...config, memory: 96 * MiB };
  const group = ceilingOf({ memory: "auto" }); // where tests run in a small group, that counts
  assert.deepEqual(ceilingOf(set), group !== undefined && group.bytes < 96 * MiB ? group : ceiling);
  assert.equal(ceilingOf({ memory: "off" }), undefined);
  const agent = await startAgent(set, { onFailed: assert.fail });
  try {
    const { memory } = agent.status();
    assert.equal(memory.ceiling?.ceilingBytes, ceilingOf(set)?.bytes);
    assert.equal(memory.ceiling?.seriesMax, 2_048);
    if (process.platform === "linux") assert.ok((memory.ceiling?.anonymousBytes ?? 0) > 10 * MiB);
  } finally {
    await agent.close();
  }
});
