import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleStatus } from "../../../test/support/agent-view.ts";
import { troublesOf } from "./health.ts";

test("a lane that was never reached because it is held is in trouble, and why is said", () => {
  const [uplink] = sampleStatus.uplinks;
  assert.ok(uplink !== undefined);
  const { lanes } = uplink;
  const alerts = { ...lanes.alerts, state: "opening", held: "paused" } as const;
  const summaries = { ...lanes.summaries, state: "running", held: "paused" } as const;
  const uplinks = [{ ...uplink, lanes: { ...lanes, alerts, summaries } }];
  const found = troublesOf({ ...sampleStatus, degraded: [], brokers: [], uplinks }).filter(
    ({ name }) => name.startsWith("uplink "),
  );
  const message = "it is held: paused";
  assert.deepEqual(found, [{ name: "uplink file alerts", message, isEarly: true }]);
});
