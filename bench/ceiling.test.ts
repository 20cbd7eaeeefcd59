/**
 * A ceiling on memory, kept: some seconds of it, and in .ci/run a minute (`WEIR_TEST_CEILING_MINUTES`).
 * It takes root, control groups and loop devices; where the machine has none it says so in one line.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { lacking } from "../test/support/require-tool.ts";
import { defaults, runCeiling, tinyOptions } from "./ceiling.ts";

const MINUTES = Number(process.env["WEIR_TEST_CEILING_MINUTES"] ?? tinyOptions.minutes);

test(`${MINUTES} minutes of 5,000 messages a second under 96 MiB, uplink down: not killed, nothing lost`, {
  timeout: 600_000,
}, async (t) => {
  const outcome = await runCeiling({ ...defaults, minutes: MINUTES });
  if (outcome.kind === "skipped") return lacking(t, outcome.reason);
  const { figures } = outcome;
  t.diagnostic(JSON.stringify(figures));
  assert.equal(figures.killed, 0);
  assert.ok(figures.agent.level !== "none", "the agent found the limit of its group by itself");
  assert.ok(figures.acknowledged >= figures.minutes * 60 * figures.msgs_per_s);
  assert.equal(figures.accepted, figures.acknowledged, "all that was acknowledged, and once");
  assert.equal(figures.counted, figures.acknowledged, "a query finds all of it");
  // In a few seconds of a busy machine the load itself may not keep up.
  const isShort = MINUTES < 1;
  const rate = isShort ? 2_500 : 4_900;
  assert.ok(figures.msgs_per_s > rate, `${figures.msgs_per_s} messages a second`);
  const { anonymous, file } = figures.memory_mb;
  assert.ok(anonymous.most + file.least < figures.limit_mb);
  // With margin: what no file has leaves the pages of the program their place.
  assert.ok(anonymous.most < 0.8 * figures.limit_mb, `${anonymous.most} MB`);
  assert.ok(isShort || figures.puback_ms.p99 < 1_000, `PUBACK p99 ${figures.puback_ms.p99} ms`);
});
