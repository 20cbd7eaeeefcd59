import assert from "node:assert/strict";
import { test } from "node:test";
import { runMonth, tinyOptions } from "./month.ts";

test("the benchmark of the month runs a day of few series: all readings are there, merged once", async () => {
  const figures = await runMonth(tinyOptions);
  assert.equal(figures.readings, 86_400 * tinyOptions.series * tinyOptions.days);
  assert.equal(figures.rolled_up_tables, 0);
  assert.ok(figures.bytes_on_disk > figures.readings / 2);
  assert.ok(figures.bytes_per_reading < 3, String(figures.bytes_per_reading));
  for (const { median } of [figures.latest_ms, figures.day_ms, figures.week_ms]) {
    assert.ok(median > 0);
  }
  assert.ok(figures.peak_rss_mb > 0 && figures.open_ms > 0);
});
