import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ScriptedBroker } from "../../../../test/support/bridge/scripted-broker.ts";
import { SimulatedClock } from "../../../../test/support/simulated-clock.ts";
import type { Net } from "../../../core/doors.ts";
import type { FaultCode } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import type { Answer, BridgeLink, BridgeMessage, Will } from "../bridge-link.ts";
import { connectMqtt, type MqttClientOptions } from "./mqtt-js.ts";
import { faultOf } from "../../../../test/support/fault-of.ts";

const message: BridgeMessage = {
  topic: "weir/gw1/alert/x",
  payload: Buffer.from('{"v":1}'),
  retain: false,
  attributes: { id: "o:alerts:0", specversion: "1.0" },
};

function rig(options: Partial<MqttClientOptions> = {}) {
  const broker = new ScriptedBroker();
  const clock = new SimulatedClock(1_800_000_000_000);
  const ends: number[] = [];
  const connect = async (will?: Will): Promise<BridgeLink> => {
    const connecting = connectMqtt(
      {
        url: "mqtt://broker",
        net: broker.net as Net,
        clock,
        address: { host: "broker", port: 1883 },
        level: broker.level,
        clientId: "weir-gw1-bridge",
        user: "gw1",
        password: "a-secret-word",
        keepAliveMs: 60_000,
        connectMs: 10_000,
        ...options,
      },
      { will, onEnded: () => ends.push(clock.monotonic()) },
    );
    connecting.catch(() => undefined);
    await clock.pass(1);
    return await connecting;
  };
  return { broker, clock, connect, ends };
}

async function answersOf(
  link: BridgeLink,
  clock: SimulatedClock,
  messages: readonly BridgeMessage[],
): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const each of messages) link.publish(each, (answer) => answers.push(answer));
  await clock.pass(1);
  return answers;
}

describe("the bridge's client", () => {
  test("connects clean, with its login and will, and says what the broker allows", async () => {
    const { broker, connect } = rig();
    broker.connack = { receiveMaximum: 20, maximumPacketSize: 4_096 };
    const link = await connect({ topic: "weir/gw1/status", payload: Buffer.from("offline") });
    assert.deepEqual([link.receiveMax, link.packetBytesMax, link.ended], [20, 4_096, undefined]);
    const [packet] = broker.named("connect");
    assert.ok(packet?.cmd === "connect");
    const { clean, clientId, username, password, protocolVersion, keepalive, will } = packet;
    assert.deepEqual(
      [clean, clientId, username, String(password), protocolVersion, keepalive],
      [true, "weir-gw1-bridge", "gw1", "a-secret-word", 5, 60],
    );
    assert.deepEqual(
      [will?.topic, String(will?.payload), will?.qos, will?.retain],
      ["weir/gw1/status", "offline", 1, true],
    );
    await link.close();
  });

  test("publishes with QoS 1 and properties, many before the first answer", async () => {
    const { broker, clock, connect } = rig();
    broker.puback = () => undefined;
    const link = await connect();
    assert.deepEqual(await answersOf(link, clock, [message, message, message]), []);
    const published = broker.named("publish");
    assert.equal(published.length, 3);
    const [first] = published;
    assert.ok(first?.cmd === "publish");
    assert.deepEqual([first.qos, first.retain, first.dup], [1, false, false]);
    assert.equal(String(first.payload), '{"v":1}');
    const { userProperties, contentType, payloadFormatIndicator } = first.properties ?? {};
    assert.deepEqual({ ...userProperties }, { id: "o:alerts:0", specversion: "1.0" });
    assert.deepEqual([contentType, payloadFormatIndicator], ["application/json", true]);
    link.destroy();
  });

  test("tells each answer apart, and counts those that nobody heard", async () => {
    const { broker, clock, connect } = rig();
    const codes = [0, 0x10, 0x87, 0x97];
    broker.puback = () => codes[broker.named("publish").length - 1] ?? 0;
    const link = await connect();
    const answers: Answer[] = [];
    for (const _ of codes) answers.push(...(await answersOf(link, clock, [message])));
    assert.deepEqual(answers, [
      { kind: "taken" },
      { kind: "taken" },
      { kind: "refused", code: 0x87, why: "Publish error: Not authorized" },
      { kind: "refused", code: 0x97, why: "Publish error: Quota exceeded" },
    ]);
    assert.equal(link.unheard, 1);
    broker.puback = () => 0x10;
    await answersOf(link, clock, [{ ...message, retain: true }]);
    assert.equal(link.unheard, 1, "the broker keeps it");
    await answersOf(link, clock, [message]);
    assert.equal(link.unheard, 2);
    await link.close();
  });

  test("speaks 3.1.1 without properties", async () => {
    const { broker, clock, connect } = rig({ level: 4 });
    broker.level = 4;
    const link = await connect();
    const answers = await answersOf(link, clock, [{ ...message, attributes: undefined }]);
    assert.deepEqual(answers, [{ kind: "taken" }]);
    await link.close();
  });

  test("a connection that is cut ends once, answers nothing more and is not opened again", async () => {
    const { broker, clock, connect, ends } = rig();
    broker.puback = () => undefined;
    const link = await connect();
    const answers = await answersOf(link, clock, [message]);
    broker.cut("ECONNRESET");
    await clock.pass(300_000);
    assert.deepEqual(answers, []);
    assert.equal(ends.length, 1);
    assert.deepEqual(link.ended, { why: "ECONNRESET", takenOver: false });
    assert.equal(broker.named("connect").length, 1);
    assert.equal(broker.named("publish").length, 1, "nothing is sent again by the client");
  });

  test("a broker that does not answer pings is given up", async () => {
    const { broker, clock, connect, ends } = rig({ keepAliveMs: 10_000 });
    const link = await connect();
    await clock.pass(30_000);
    assert.ok(broker.named("pingreq").length >= 2);
    assert.equal(ends.length, 0);
    broker.answersPings = false;
    await clock.pass(25_000);
    assert.equal(ends.length, 1);
    assert.match(link.ended?.why ?? "", /[Kk]eepalive/);
    assert.equal(broker.isConnected, false);
  });

  test("pings also while it publishes: a way that is dead in one direction is noticed", async () => {
    const { broker, clock, connect } = rig({ keepAliveMs: 10_000 });
    const link = await connect();
    for (let i = 0; i < 40; i++) {
      link.publish(message, () => undefined);
      await clock.pass(500);
    }
    assert.ok(broker.named("pingreq").length >= 1);
    await link.close();
  });

  test("says goodbye, so that no will is published, and closes", async () => {
    const { broker, connect, ends } = rig();
    const link = await connect({ topic: "weir/gw1/status", payload: Buffer.from("offline") });
    await link.close();
    assert.equal(broker.named("disconnect").length, 1);
    assert.equal(broker.isConnected, false);
    assert.equal(ends.length, 1);
  });

  test("closes in time, though the other side takes nothing", async () => {
    const { broker, clock, connect, ends } = rig();
    const link = await connect();
    broker.takesGoodbyes = false;
    const closed = link.close();
    await clock.pass(limits.bridgeCloseWaitMs);
    await closed;
    assert.equal(ends.length, 1);
    assert.equal(broker.isConnected, false);
  });

  test("another client with its id is told apart from any other end", async () => {
    const { broker, clock, connect } = rig();
    const link = await connect();
    broker.send({ cmd: "disconnect", reasonCode: 0x8e });
    broker.cut("");
    await clock.pass(1);
    assert.equal(link.ended?.takenOver, true);
  });

  test("what a broker refuses at the door is a fault that says what to do, without the password", async () => {
    const cases: readonly (readonly [4 | 5, number, FaultCode, RegExp])[] = [
      [5, 0x86, "UPLINK_LOGIN_REFUSED", /check user, password and clientId/],
      [5, 0x87, "UPLINK_LOGIN_REFUSED", /Not authorized/],
      [4, 5, "UPLINK_LOGIN_REFUSED", /check user/],
      [5, 0x84, "UPLINK_REFUSED", /does not speak MQTT 5: set version: 3\.1\.1/],
      [4, 1, "UPLINK_REFUSED", /set version: 5/],
      [5, 0x9a, "UPLINK_REFUSED", /keeps no messages: set status: off/],
      [5, 0x88, "UPLINK_UNREACHABLE", /Server unavailable/],
    ];
    for (const [level, code, expected, why] of cases) {
      const { broker, connect } = rig({ level });
      broker.level = level;
      broker.connack = { code };
      const fault = await faultOf(connect());
      assert.equal(fault.code, expected);
      assert.match(fault.message, why);
      assert.doesNotMatch(fault.message, /a-secret-word/);
    }
  });

  test("a broker that takes QoS 0 only is refused: it acknowledges nothing", async () => {
    const { broker, connect } = rig();
    broker.connack = { maximumQoS: 0 };
    assert.match((await faultOf(connect())).message, /needs a broker with QoS 1/);
  });

  test("a broker that does not answer CONNECT is given up in time", async () => {
    const { broker, clock, connect } = rig();
    broker.connack = undefined;
    const refused = faultOf(connect());
    await clock.pass(10_000);
    assert.match((await refused).message, /did not answer CONNECT within 10000 ms/);
    assert.equal(broker.isConnected, false);
  });
});
