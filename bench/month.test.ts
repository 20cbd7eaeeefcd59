/** A day of the month; .ci/run gives it as many series as the month has: `WEIR_TEST_MONTH_SERIES`. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { defaults, runMonth, tinyOptions } from "./month.ts";

const SERIES = Number(process.env["WEIR_TEST_MONTH_SERIES"] ?? tinyOptions.series);

test(`a day of ${SERIES} series: all readings are there, merged once, and answered`, {
  timeout: 600_000,
}, async () => {
  const options = { ...tinyOptions, series: SERIES };
  const figures = await runMonth(options);
  assert.equal(figures.readings, 86_400 * options.series * options.days);
  assert.equal(figures.rolled_up_tables, 0);
  assert.ok(figures.bytes_on_disk > figures.readings / 2);
  assert.ok(figures.bytes_per_reading < 3, String(figures.bytes_per_reading));
  for (const { median } of [figures.latest_ms, figures.day_ms, figures.week_ms]) {
    assert.ok(median > 0);
  }
  assert.ok(figures.peak_rss_mb > 0 && figures.open_ms > 0);
  if (SERIES < defaults.series) return;
  assert.ok(figures.peak_rss_mb <= 150, `${figures.peak_rss_mb} MB`);
  assert.ok(figures.write_amplification <= 2, `written ${figures.write_amplification} times`);
  // What a quiet machine must show (2 s, 1, 20 and 50 ms), five times over: others may be at work here.
  assert.ok(figures.open_ms < 10_000, `opened in ${figures.open_ms} ms`);
  assert.ok(figures.latest_ms.median < 5, `latest value: ${figures.latest_ms.median} ms`);
  assert.ok(figures.day_ms.median < 100, `one series, one day: ${figures.day_ms.median} ms`);
  assert.ok(
    figures.week_ms.median < 250,
    `what there is in 500 points: ${figures.week_ms.median} ms`,
  );
});
