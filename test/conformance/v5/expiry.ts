/** What ends by itself: sessions, messages, the delay of wills. */

import assert from "node:assert/strict";
import type { IConnectPacket } from "mqtt-packet";
import { type Case, claim } from "../case.ts";
import { assertRefused } from "../site.ts";

const NEVER = 0xffff_ffff;

function willAfter(delay: number): NonNullable<IConnectPacket["will"]> {
  return { topic: "will/a", payload: "gone", properties: { willDelayInterval: delay } };
}

export const expiryCases: readonly Case[] = [
  claim(
    { v5: "3.1.2-23 4.1.0-2" },
    "a session lives until its expiry has passed, and not longer",
    async (site) => {
      const kept = (seconds: number) => ({
        clientId: "sub",
        clean: false,
        properties: { sessionExpiryInterval: seconds },
      });
      const first = await site.connect(kept(100));
      await first.subscribe("a", { qos: 1 });
      await first.vanish();
      await site.pass(90);
      const second = await site.connect(kept(100));
      assert.equal(second.connack?.sessionPresent, true, "in time");
      await second.vanish();
      await site.pass(110);
      await (await site.connect()).publish("a", "too late", { qos: 1 });
      const third = await site.connect(kept(100));
      assert.equal(third.connack?.sessionPresent, false, "too late");
      assert.deepEqual(third.messages(), []);
    },
  ),
  claim({ v5: "4.1.0-2" }, "a session without an expiry ends with its connection", async (site) => {
    const first = await site.connect({ clientId: "sub", clean: false });
    await first.subscribe("a", { qos: 1 });
    await first.vanish();
    const second = await site.connect({ clientId: "sub", clean: false });
    assert.equal(second.connack?.sessionPresent, false);
  }),
  claim(
    { v5: "§3.1.2.11.2" },
    "clean start and session expiry are two things: a clean session may be kept afterwards",
    async (site) => {
      const options = { clientId: "sub", properties: { sessionExpiryInterval: 100 } };
      const first = await site.connect({ ...options, clean: true });
      await first.subscribe("a", { qos: 1 });
      await first.disconnect();
      await (await site.connect()).publish("a", "x", { qos: 1 });
      const second = await site.connect({ ...options, clean: false });
      assert.equal(second.connack?.sessionPresent, true);
      assert.deepEqual(second.messages(), ["a x"]);
    },
  ),
  claim(
    { v5: "§3.1.2.11.2" },
    "a session whose expiry is the largest number does not end",
    async (site) => {
      const options = {
        clientId: "sub",
        clean: false,
        properties: { sessionExpiryInterval: NEVER },
      };
      const first = await site.connect(options);
      const agreed = first.connack?.properties?.sessionExpiryInterval ?? NEVER;
      await first.subscribe("a", { qos: 1 });
      await first.disconnect();
      await site.pass(Math.min(agreed, 40 * 86_400) - 10);
      const second = await site.connect(options);
      assert.equal(second.connack?.sessionPresent, true);
    },
  ),
  claim({ v5: "§3.14.2.2.2" }, "a DISCONNECT may change the expiry", async (site) => {
    const options = { clientId: "sub", clean: false, properties: { sessionExpiryInterval: 100 } };
    const first = await site.connect(options);
    await first.subscribe("a", { qos: 1 });
    await first.disconnect({ sessionExpiryInterval: 1_000 });
    await site.pass(500);
    const second = await site.connect(options);
    assert.equal(second.connack?.sessionPresent, true, "made longer");
    await second.disconnect({ sessionExpiryInterval: 0 });
    const third = await site.connect(options);
    assert.equal(third.connack?.sessionPresent, false, "ended at once");
  }),
  claim(
    { v5: "§3.14.2.2.2" },
    "a DISCONNECT that gives a session an expiry which had none is refused",
    async (site) => {
      const client = await site.connect();
      client.sendPacket({ cmd: "disconnect", properties: { sessionExpiryInterval: 10 } });
      await site.settle();
      assertRefused(client, 0x82);
    },
  ),
  claim(
    { v5: "3.1.2-8 3.1.3-9" },
    "a will waits for its delay, and is not published when the client is back before",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will/#");
      const options = {
        clientId: "dev",
        clean: false,
        properties: { sessionExpiryInterval: 1_000 },
        will: willAfter(30),
      };
      const first = await site.connect(options);
      await first.vanish();
      await site.pass(20);
      assert.deepEqual(watcher.messages(), [], "not before its delay");
      const back = await site.connect(options);
      await site.pass(100);
      assert.deepEqual(watcher.messages(), [], "not when the client is back");
      await back.vanish();
      await site.pass(40);
      assert.deepEqual(watcher.messages(), ["will/a gone"], "after its delay");
      await site.pass(2_000);
      assert.deepEqual(watcher.messages(), [], "once");
    },
  ),
  claim(
    { v5: "3.1.2-8" },
    "a will whose delay outlasts its session is published when that ends",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will/#");
      const client = await site.connect({
        clientId: "dev",
        properties: { sessionExpiryInterval: 20 },
        will: willAfter(1_000),
      });
      await client.vanish();
      await site.pass(10);
      assert.deepEqual(watcher.messages(), []);
      await site.pass(20);
      assert.deepEqual(watcher.messages(), ["will/a gone"]);
    },
  ),
  claim(
    { v5: "3.1.2-8" },
    "a will of a session that ends with the connection is published at once, whatever its delay",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will/#");
      await (await site.connect({ will: willAfter(1_000) })).vanish();
      assert.deepEqual(watcher.messages(), ["will/a gone"]);
    },
  ),
  claim(
    { v5: "3.1.2-8" },
    "a will that waits is published when a clean start ends its session",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will/#");
      const options = { clientId: "dev", properties: { sessionExpiryInterval: 1_000 } };
      await (await site.connect({ ...options, will: willAfter(500) })).vanish();
      await site.connect({ ...options, clean: true });
      assert.deepEqual(watcher.messages(), ["will/a gone"]);
    },
  ),
  claim(
    { v5: "3.1.2-10 3.14.4-3" },
    "a DISCONNECT with reason 0 takes the will back, one with reason 4 does not",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will/#");
      await (await site.connect({ will: { topic: "will/a", payload: "gone" } })).disconnect({
        reasonCode: 0,
      });
      assert.deepEqual(watcher.messages(), []);
      await (await site.connect({ will: { topic: "will/a", payload: "gone" } })).disconnect({
        reasonCode: 4,
      });
      assert.deepEqual(watcher.messages(), ["will/a gone"]);
    },
  ),
  claim(
    { v5: "3.3.2-5" },
    "a message that waited longer than its expiry is not delivered",
    async (site) => {
      const sub = await site.connectKept("sub");
      await sub.subscribe("a", { qos: 1 });
      await sub.disconnect();
      const pub = await site.connect();
      await pub.publish("a", "short", { qos: 1, properties: { messageExpiryInterval: 10 } });
      await pub.publish("a", "long", { qos: 1, properties: { messageExpiryInterval: 1_000 } });
      await pub.publish("a", "always", { qos: 1 });
      await site.pass(20);
      const back = await site.connectKept("sub");
      await site.settle();
      assert.deepEqual(back.messages(), ["a long", "a always"]);
    },
  ),
  claim({ v5: "3.3.2-6" }, "a delivery says how long its message still lasts", async (site) => {
    const sub = await site.connectKept("sub");
    await sub.subscribe("a", { qos: 1 });
    const pub = await site.connect();
    const properties = { messageExpiryInterval: 1_000 };
    await pub.publish("a", "at once", { qos: 1, properties });
    assert.equal(sub.publications()[0]?.properties?.messageExpiryInterval, 1_000);
    await sub.disconnect();
    await pub.publish("a", "later", { qos: 1, properties });
    await site.pass(100);
    const back = await site.connectKept("sub");
    await site.settle();
    const left = back.publications()[0]?.properties?.messageExpiryInterval ?? 0;
    assert.ok(left >= 899 && left <= 900, `${left} s are left of 900`);
  }),
  claim(
    { v5: "3.3.2-5 3.3.2-6" },
    "a retained message ends with its expiry, and says until then what is left",
    async (site) => {
      const pub = await site.connect();
      await pub.publish("a", "kept", {
        qos: 1,
        retain: true,
        properties: { messageExpiryInterval: 100 },
      });
      await site.pass(40);
      const sub = await site.connect();
      await sub.subscribe("a", { qos: 1 });
      const left = sub.publications()[0]?.properties?.messageExpiryInterval ?? 0;
      assert.ok(left >= 59 && left <= 60, `${left} s are left of 60`);
      await site.pass(70);
      const late = await site.connect();
      await late.subscribe("a", { qos: 1 });
      assert.deepEqual(late.messages(), []);
    },
  ),
  claim(
    { v5: "4.3.3-7 4.3.3-13" },
    "a QoS 2 delivery that was begun is completed, whatever the expiry",
    async (site) => {
      const sub = await site.connectKept("sub");
      sub.answers = false;
      await sub.subscribe("a", { qos: 2 });
      const pub = await site.connect();
      await pub.publish("a", "x", { qos: 2, properties: { messageExpiryInterval: 5 } });
      const [publication] = sub.publications();
      assert.ok(publication, "it is delivered");
      await site.pass(60);
      const messageId = publication.messageId ?? 0;
      const released = await sub.exchange({ cmd: "pubrec", messageId });
      assert.deepEqual(
        released.map((packet) => [packet.cmd, packet.messageId]),
        [["pubrel", messageId]],
      );
      const received = await pub.exchange(
        pub.publishPacket("a", "y", { qos: 2, id: 50, properties: { messageExpiryInterval: 1 } }),
      );
      await site.pass(10);
      const end = await pub.exchange({ cmd: "pubrel", messageId: 50 });
      assert.deepEqual(
        [...received, ...end].map(({ cmd }) => cmd),
        ["pubrec", "pubcomp"],
      );
    },
  ),
];
