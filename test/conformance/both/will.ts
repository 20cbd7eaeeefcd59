/** Will messages: what is said of a client that is gone. */

import assert from "node:assert/strict";
import { frame, word } from "../bytes.ts";
import { type Case, claim } from "../case.ts";
import { codeOf, connectPacketOf } from "../client.ts";

const will = { topic: "will/a", payload: "gone" };

export const willCases: readonly Case[] = [
  claim(
    { v3: "3.1.2-8", v5: "3.1.2-7 3.1.2-8" },
    "the will is published when the connection breaks",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will/#");
      const client = await site.connect({ will });
      assert.deepEqual(watcher.messages(), [], "not before");
      await client.vanish();
      assert.deepEqual(watcher.messages(), ["will/a gone"]);
    },
  ),
  claim(
    { v3: "3.1.2-8", v5: "3.1.2-8" },
    "the will is published when the keep alive passes in silence",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will/#");
      await site.connect({ will, keepalive: 10 });
      await site.pass(20);
      assert.deepEqual(watcher.messages(), ["will/a gone"]);
    },
  ),
  claim(
    { v3: "3.1.2-8", v5: "3.1.2-8" },
    "the will is published when the server closes the connection for a protocol error",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will/#");
      const client = await site.connect({ will });
      client.send(frame(0x00));
      await site.settle();
      assert.deepEqual(watcher.messages(), ["will/a gone"]);
    },
  ),
  claim(
    { v3: "3.1.2-8", v5: "3.1.2-8" },
    "the will is published when another connection takes over",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will/#");
      await site.connect({ clientId: "twin", will });
      await site.connect({ clientId: "twin" });
      assert.deepEqual(watcher.messages(), ["will/a gone"]);
    },
  ),
  claim(
    { v3: "3.1.2-10", v5: "3.1.2-10" },
    "the will is gone once it was published, and after a DISCONNECT",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will/#");
      const client = await site.connect(site.kept("a", { will }));
      await client.vanish();
      assert.deepEqual(watcher.messages(), ["will/a gone"]);
      const second = await site.connect(site.kept("a"));
      await second.vanish();
      assert.deepEqual(watcher.messages(), [], "published once");
      const third = await site.connect(site.kept("a", { will }));
      await third.disconnect();
      const fourth = await site.connect(site.kept("a"));
      await fourth.vanish();
      assert.deepEqual(watcher.messages(), [], "not after a DISCONNECT");
    },
  ),
  claim(
    { v3: "3.1.2-12", v5: "§3.1.2.5" },
    "a client without a will goes silently",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("#");
      await (await site.connect()).vanish();
      assert.deepEqual(watcher.messages(), []);
    },
  ),
  claim(
    { v3: "3.1.2-9 3.1.2-14", v5: "3.1.2-12" },
    "the will has the QoS it was given",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will/#", { qos: 2 });
      for (const qos of [0, 1, 2] as const) {
        await (await site.connect({ will: { ...will, qos } })).vanish();
        assert.deepEqual(
          watcher.publications().map((publication) => publication.qos),
          [qos],
        );
      }
    },
  ),
  claim(
    { v3: "3.1.2-16", v5: "3.1.2-14" },
    "a will without will retain is not retained",
    async (site) => {
      await (await site.connect({ will: { ...will, retain: false } })).vanish();
      const late = await site.connect();
      await late.subscribe("will/#");
      assert.deepEqual(late.messages(), []);
    },
  ),
  claim({ v3: "3.1.2-17", v5: "3.1.2-15" }, "a will with will retain is retained", async (site) => {
    await (await site.connect({ will: { ...will, retain: true } })).vanish();
    const late = await site.connect();
    await late.subscribe("will/#");
    const [publication] = late.publications();
    assert.equal(publication?.payload.toString(), "gone");
    assert.equal(publication?.retain, true);
  }),
  claim(
    { v3: "3.1.2-8", v5: "3.1.2-8" },
    "a client that was not accepted has no will",
    async (site) => {
      const login = { username: "pump", password: Buffer.from("right") };
      const watcher = await site.connect(login);
      await watcher.subscribe("will/#");
      const client = site.open();
      const refused = { clientId: "a", will, username: "pump", password: Buffer.from("wrong") };
      await client.connect(connectPacketOf(site.level, refused));
      await client.vanish();
      assert.deepEqual(watcher.messages(), []);
    },
    { users: [{ name: "pump", password: "right" }] },
  ),
  claim(
    { v3: "§3.1.4", v5: "3.1.4-2" },
    "a client whose will it may not publish is refused as not authorised",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("#");
      const client = site.open();
      const connack = await client.connect(connectPacketOf(site.level, { clientId: "a", will }));
      assert.ok(connack, "there is a CONNACK");
      assert.equal(codeOf(connack), site.level === 4 ? 5 : 0x87);
      assert.ok(client.isClosed, "the network connection is closed");
      assert.deepEqual(watcher.messages(), []);
    },
    { access: { anonymousRights: { publish: ["allowed/#"] } } },
  ),
  claim(
    { v3: "3.1.2-8", v5: "3.1.2-8" },
    "a will is kept for a subscriber that is away, where its QoS asks for it",
    async (site) => {
      const away = await site.connectKept("sub");
      await away.subscribe("will/#", { qos: 1 });
      await away.disconnect();
      await (await site.connect({ will: { ...will, qos: 1 } })).vanish();
      const back = await site.connectKept("sub");
      assert.deepEqual(back.messages(), ["will/a gone"]);
    },
  ),
  claim(
    { v3: "§3.14.4", v5: "§3.14.4" },
    "QoS 0 messages in one piece with the CONNECT before and the DISCONNECT behind are delivered",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("#", { qos: 2 });
      const client = site.open();
      client.send(
        client.encode(connectPacketOf(site.level, { clientId: "hasty", will })),
        client.encode(client.publishPacket("a", "0")),
        client.encode(client.publishPacket("a", "1")),
        client.encode({ cmd: "disconnect" }),
      );
      await site.settle();
      assert.ok(client.isClosed, "the network connection is closed");
      assert.deepEqual(watcher.messages(), ["a 0", "a 1"]);
    },
  ),
  claim(
    { v3: "3.14.4-3", v5: "3.14.4-3" },
    "what is sent behind a DISCONNECT is not processed",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("#");
      const client = await site.connect({ will });
      client.send(
        client.encode({ cmd: "disconnect" }),
        client.encode(client.publishPacket("a", "late", { qos: 1, id: 1 })),
        frame(0x62, word(1)),
      );
      await site.settle();
      assert.deepEqual(client.take(), []);
      assert.deepEqual(watcher.messages(), []);
      assert.deepEqual(site.received, []);
    },
  ),
];
