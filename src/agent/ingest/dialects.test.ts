/** Payloads as common devices send them (shapes from their documentation; the values are made up). */

import assert from "node:assert/strict";
import { test } from "node:test";
import { give, openBench, source, take } from "../../../test/support/intake.ts";
import type { SourceConfig } from "./source-config.ts";

/** [series, value] of a payload; given twice, because the second time it may be scanned. */
function readings(
  config: Partial<SourceConfig>,
  topic: string,
  payload: string,
): { readonly values: Record<string, number | string>; readonly time: number | undefined } {
  const bench = openBench([source(config)]);
  give(bench, topic, payload);
  const first = take(bench);
  assert.deepEqual(first.deadLetters, []);
  give(bench, topic, payload);
  assert.deepEqual(take(bench).readings, first.readings);
  const values = Object.fromEntries(first.readings.map(({ series, value }) => [series, value]));
  return { values, time: first.readings[0]?.time };
}

test("Tasmota: nested sensors, and a time without a zone that has to be configured", () => {
  const payload =
    '{"Time":"2024-02-16T10:13:52","ENERGY":{"Total":0.052,"Power":0,"Voltage":198},"DS18B20":{"Temperature":20.6}}';
  const config = { topics: ["tele/{device}/SENSOR"], time: ["Time"] };
  const { values, time } = readings({ ...config, timezone: "utc" }, "tele/plug/SENSOR", payload);
  assert.equal(time, Date.UTC(2024, 1, 16, 10, 13, 52));
  assert.deepEqual(values, {
    "ENERGY.Total{device=plug}": 0.052,
    "ENERGY.Power{device=plug}": 0,
    "ENERGY.Voltage{device=plug}": 198,
    "DS18B20.Temperature{device=plug}": 20.6,
  });

  const bench = openBench([source(config)]);
  give(bench, "tele/plug/SENSOR", payload);
  assert.deepEqual(
    take(bench).deadLetters.map(({ reason }) => reason),
    ["time_invalid"],
  );
});

test("Shelly generation 2: events with the time in params, in seconds with a fraction", () => {
  const { values, time } = readings(
    {
      topics: ["{device}/events/rpc"],
      time: ["params.ts"],
      ignore: ["src", "dst", "method"],
    },
    "shelly1/events/rpc",
    '{"src":"shelly1","dst":"shelly1/events","method":"NotifyStatus","params":{"ts":1788945292.88,"switch:0":{"apower":11.5,"current":0.071}}}',
  );
  assert.equal(time, 1_788_945_292_880);
  assert.deepEqual(values, {
    "params.switch:0.apower{device=shelly1}": 11.5,
    "params.switch:0.current{device=shelly1}": 0.071,
  });
});

test("Shelly generation 2: a status whose list of numbers is ignored by name", () => {
  const { values } = readings(
    { topics: ["{device}/status/{metric}"], ignore: ["id", "source", "aenergy.by_minute"] },
    "plus2pm/status/switch:0",
    '{"id":0,"source":"init","output":false,"apower":0.0,"aenergy":{"total":123.585,"by_minute":[0.000,0.000],"minute_ts":1698999959}}',
  );
  assert.deepEqual(values, {
    "switch:0.output{device=plus2pm}": "false",
    "switch:0.apower{device=plus2pm}": 0,
    "switch:0.aenergy.total{device=plus2pm}": 123.585,
    "switch:0.aenergy.minute_ts{device=plus2pm}": 1_698_999_959,
  });
});

test("zigbee2mqtt: null is not zero, last_seen is the time, states are symbols", () => {
  const { values, time } = readings(
    { topics: ["zigbee2mqtt/{device}"], time: ["last_seen"] },
    "zigbee2mqtt/plug",
    '{"current":null,"energy":8.42,"last_seen":"2024-11-15T19:06:38+00:00","power":3,"state":"ON","update":{"state":null},"child_lock":"UNLOCK"}',
  );
  assert.equal(time, Date.UTC(2024, 10, 15, 19, 6, 38));
  assert.deepEqual(values, {
    "energy{device=plug}": 8.42,
    "power{device=plug}": 3,
    "state{device=plug}": "ON",
    "child_lock{device=plug}": "UNLOCK",
  });
});

test("ESPHome and one topic per attribute: bare values, bare text", () => {
  const config = { topics: ["{device}/sensor/{metric}/state", "{device}/status"] };
  assert.deepEqual(readings(config, "living/sensor/temperature/state", "21.3").values, {
    "temperature{device=living}": 21.3,
  });
  assert.deepEqual(readings(config, "living/status", "online").values, {
    "value{device=living}": "online",
  });
});

test("Home Assistant discovery: text with escapes and signs beyond ASCII", () => {
  const { values } = readings(
    { topics: ["homeassistant/sensor/{device}/config"] },
    "homeassistant/sensor/t/config",
    '{"device_class":"temperature","unit":"\\u00b0C","unit_of_measurement":"°C"}',
  );
  assert.deepEqual(values, {
    "device_class{device=t}": "temperature",
    "unit{device=t}": "°C",
    "unit_of_measurement{device=t}": "°C",
  });
});
