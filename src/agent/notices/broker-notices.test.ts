import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleStatus } from "../../../test/support/agent-view.ts";
import { brokerNotices } from "./broker-notices.ts";
import type { BrokerStatus } from "../ingest/mqtt/subscriber/broker-counters.ts";

const [site] = sampleStatus.brokers;
assert.ok(site !== undefined);
const broker: BrokerStatus = site;
const now = 1_718_000_000_000;

function messages(changes: Partial<BrokerStatus>, kind: string): readonly string[] {
  const code = `broker_${kind}_site`;
  return brokerNotices({ ...broker, ...changes }, now)
    .filter((notice) => notice.code === code)
    .map(({ message }) => message);
}

test("a broker that is well is not mentioned", () => {
  assert.deepEqual(brokerNotices(broker, now), []);
});

test("a broker that was never reached is said seconds after the start, one that went after a minute", () => {
  const trouble = {
    message: "mqtt://10.0.0.5: cannot connect to 10.0.0.5:1883: ECONNREFUSED",
    at: 0,
  };
  const away = { state: "waiting", trouble } as const;
  const unreached = { ...away, counters: { ...broker.counters, connected: 0 } };
  assert.deepEqual(messages({ ...unreached, awaySince: now - 2_000 }, "away"), []);
  assert.match(
    messages({ ...unreached, awaySince: now - 4_000 }, "away").join(),
    /^broker site was not reached since the start, 4 s ago: .*ECONNREFUSED$/,
  );
  assert.match(
    messages({ ...unreached, trouble: undefined, awaySince: now - 4_000 }, "away").join(),
    /no answer yet/,
  );
  const gone = { ...away, counters: { ...broker.counters, connected: 3 } };
  assert.deepEqual(messages({ ...gone, awaySince: now - 50_000 }, "away"), []);
  assert.match(
    messages({ ...gone, awaySince: now - 61_000 }, "away").join(),
    /^broker site is away for 61 s: .*ECONNREFUSED$/,
  );
});

test("subscriptions with a lower QoS than asked are said with what that costs", () => {
  assert.match(
    messages({ subscriptionsLowered: ["plant/+: QoS 0", "line/+: QoS 0"] }, "qos_lowered").join(),
    /gives 2 of our subscriptions a lower QoS .* the first plant\/\+: QoS 0: .*may be lost/,
  );
});
