/**
 * The rig of the Mosquitto tests: what a real Mosquitto owes after its two ends, told by its file and
 * checked with MQTT.js, and whether the oracle sees a lost and a doubled reading.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connectAsync } from "mqtt";
import { Fleet } from "../support/mosquitto/fleet.ts";
import { assertSound, excuseLost, judge, keysOwed } from "../support/mosquitto/oracle.ts";
import { openProxy } from "../support/mosquitto/proxy.ts";
import { bitOf, keyOfMessage, windowKeyOf } from "../support/mosquitto/readings.ts";
import { startMosquitto } from "../support/mosquitto/server.ts";
import { until } from "../support/mosquitto/site.ts";
import { Witness } from "../support/mosquitto/witness.ts";
import { requireTool } from "../support/require-tool.ts";
import type { UpstreamRecord } from "../support/upstream.ts";

const session = {
  host: "127.0.0.1",
  clientId: "reader",
  clean: false,
  reconnectPeriod: 0,
} as const;

describe("Mosquitto", () => {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    it(`delivers after ${signal} what its file held, and the rest is known`, async (t) => {
      if (!requireTool(t, "mosquitto")) return;
      await using mosquitto = await startMosquitto();
      const { port } = mosquitto;
      const before = await connectAsync({ ...session, port });
      await before.subscribeAsync("plant/#", { qos: 2 });
      await before.endAsync();
      const fleet = new Fleet({ port, devices: 6 });
      await until("some hundred messages", () => fleet.acknowledged.size > 300);
      if (signal === "SIGKILL") await mosquitto.save();
      await sleep(50);
      await mosquitto.end(signal);
      await until("the devices notice", () => fleet.isCutOff);
      fleet.abandon();
      const store = mosquitto.stored();
      const stored = keysOwed(store, ["reader"]);
      const excused = new Set<string>();
      const witness = new Witness({ protocolVersion: 4, keyOf: keyOfMessage });
      excuseLost(excused, { fleets: [fleet], witnesses: [witness], store, clientIds: ["reader"] });

      await mosquitto.start();
      await using proxy = await openProxy({ to: port, watch: () => witness.link() });
      const after = await connectAsync({ ...session, port: proxy.port });
      // Behind the proxy MQTT.js acknowledges each message: the witness sees which.
      const owed = new Set(fleet.acknowledged.keys()).difference(excused);
      await until(
        () => `what is owed is delivered: ${[...owed.difference(witness.acknowledged)].join()}`,
        () => owed.difference(witness.acknowledged).size === 0,
      );
      await after.endAsync();
      if (signal === "SIGTERM") assert.equal(excused.size, 0);
      assert.equal(witness.strayAcks, 0);
      assert.deepEqual(witness.faults, []);
      t.diagnostic(
        `${fleet.acknowledged.size} acknowledged, ${stored.size} stored, ${excused.size} lost by the broker`,
      );
    });
  }
});

describe("the oracle", () => {
  const startMs = 1_700_000_000_000;
  const sent = new Map(
    [0, 1, 2].map((number) => [`d0#${number}`, { device: "d0", number }] as const),
  );
  const fleet = { startMs, sent } as unknown as Fleet;
  const recordOf = (numbers: readonly number[], revision = 0): UpstreamRecord => ({
    kind: "summary",
    id: `a/seconds/d0/${startMs}/1000/${revision}`,
    revision,
    key: { device: "d0" },
    start: Number(windowKeyOf(startMs, { device: "d0", number: 0 }).slice(3)),
    count: numbers.length,
    sum: Number(numbers.reduce((sum, number) => sum + bitOf(number), 0n)),
  });

  it("is content with each reading once, in the newest revision or in several agents", () => {
    assertSound(judge([fleet], [[recordOf([0]), recordOf([0, 1, 2], 1)]], new Set()));
    assertSound(judge([fleet], [[recordOf([0, 2])], [recordOf([1])]], new Set()));
  });

  it("names a reading that is missing, unless the broker lost it", () => {
    const records = [[recordOf([0, 2])]];
    assert.equal(judge([fleet], records, new Set()).missing.length, 1);
    const excused = judge([fleet], records, new Set(["d0#1"]));
    assert.deepEqual([excused.missing, excused.lostByBroker], [[], 1]);
  });

  it("sees a reading that is counted twice, within an agent and across two", () => {
    assert.equal(judge([fleet], [[recordOf([0, 1, 1, 2])]], new Set()).doubled.length, 1);
    const both = judge([fleet], [[recordOf([0, 1, 2])], [recordOf([2])]], new Set());
    assert.equal(both.doubled.length, 1);
  });

  it("sees a reading that nobody sent, and a record that is there twice", () => {
    assert.equal(judge([fleet], [[recordOf([0, 1, 2, 3])]], new Set()).unknown.length, 1);
    const twice = [recordOf([0, 1, 2]), recordOf([0, 1, 2])];
    assert.equal(judge([fleet], [twice], new Set()).repeatedIds.length, 1);
  });
});
