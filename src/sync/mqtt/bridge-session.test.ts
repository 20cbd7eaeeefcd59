import assert from "node:assert/strict";
import { test } from "node:test";
import { BridgeBrokerModel } from "../../../test/support/bridge/broker-model.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { Fault } from "../../core/faults.ts";
import type { ConnectBridge } from "./bridge-link.ts";
import { BridgeSession } from "./bridge-session.ts";

test("the late end of a try that failed is not the end of the connection that came after it", async () => {
  const broker = new BridgeBrokerModel();
  let endsLate = (): void => assert.fail("the first try is over");
  const connect: ConnectBridge = async (options) => {
    if (broker.connections > 0) return await broker.connect(options);
    broker.connections += 1;
    endsLate = options.onEnded;
    throw new Fault("UPLINK_UNREACHABLE", "it did not answer CONNECT");
  };
  const clock = new SimulatedClock(1_800_000_000_000);
  const session = new BridgeSession({
    url: "mqtt://broker",
    clock,
    connect,
    answerMs: 30_000,
    status: undefined,
  });
  await assert.rejects(session.open(), /did not answer/);
  await session.open();
  endsLate();
  assert.equal(session.trouble, undefined);
  assert.ok(session.hasRoom("alerts"));
  await session.close();
});

test("a connection is given up for another link, and lanes that use it are told", async () => {
  const broker = new BridgeBrokerModel();
  const clock = new SimulatedClock(1_800_000_000_000);
  let over = "lte";
  const session = new BridgeSession({
    url: "mqtt://broker",
    clock,
    connect: (options) => broker.connect(options),
    answerMs: 30_000,
    status: undefined,
    over: () => over,
  });
  const ends: string[] = [];
  const lane = { roomMade: () => undefined, linkEnded: ({ message }: Fault) => ends.push(message) };
  session.serve("summaries", lane);
  await session.open();
  await session.open();
  assert.equal(broker.connections, 1);
  over = "sat";
  await session.open();
  assert.equal(broker.connections, 2);
  assert.match(ends.join(), /^the connection to mqtt:\/\/broker is lost: .*another link/);
  assert.ok(session.hasRoom("alerts"));
  await clock.pass(1_000);
  assert.equal(session.trouble, undefined, "the end of the first is not that of the second");
  await session.close();
});
