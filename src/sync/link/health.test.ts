import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../core/limits.ts";
import { afterFailure, type Health, healthy, isUp } from "./health.ts";

const policy = { failMs: 60_000, retryMs: 600_000 };
const failed = (health: Health, nowMs: number): Health =>
  afterFailure(health, { ...policy, nowMs });

test("a link is down when deliveries failed for long enough, and often enough", () => {
  let health = failed(failed(healthy, 0), 59_000);
  assert.equal(health.failures, limits.linkFailuresMin - 1);
  assert.ok(isUp(failed(health, 59_999), 59_999), "not for long enough");
  health = failed(health, 60_000);
  assert.ok(!isUp(health, 60_000));
  assert.ok(isUp(failed(failed(healthy, 0), 90_000), 90_000), "twice is chance");
});

test("it is tried again after its time, and one failure more puts it down again", () => {
  let health = [0, 30_000, 60_000].reduce(failed, healthy);
  health = failed(health, 60_001);
  assert.ok(!isUp(health, 659_999), "a second lane's failure makes it no longer");
  assert.ok(isUp(health, 660_000));
  health = failed(health, 661_000);
  assert.ok(!isUp(health, 1_260_999));
  assert.ok(isUp(health, 1_261_000));
});
