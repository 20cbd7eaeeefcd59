import assert from "node:assert/strict";
import { test } from "node:test";
import { isLong } from "../test/support/long-form.ts";
import { places as allPlaces, runNodeRed, tinyOptions } from "./node-red.ts";

test("the Node-RED benchmark runs on tiny inputs and names its figures", {
  timeout: 120_000,
}, async () => {
  const chosen = isLong ? allPlaces : (["in_process"] as const);
  const { idle, places } = await runNodeRed({ ...tinyOptions, places: chosen });
  assert.ok(idle.rss_mb > 50);
  assert.deepEqual(
    places.map(({ place }) => place),
    chosen,
  );
  for (const { place, node_red, agent, rate } of places) {
    assert.equal(rate, tinyOptions.rates[0]);
    assert.ok(node_red.rss_mb > idle.rss_mb / 2);
    // With the agent's nodes it may be less than what /proc counts in.
    assert.ok(node_red.cpu_percent > 0 || place === "agent");
    assert.ok(agent.rss_mb > 20 && agent.cpu_percent > 0);
  }
});
