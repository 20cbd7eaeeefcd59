/** CONNECT and CONNACK: who is let in, and what comes first. */

import assert from "node:assert/strict";
import type { Packet } from "mqtt-packet";
import { byte, connectBytes, frame, properties, text, word } from "../bytes.ts";
import { type Case, claim } from "../case.ts";
import { codeOf, connectPacketOf } from "../client.ts";
import { assertNotConnected, assertRefused } from "../site.ts";

const users = [{ name: "pump", password: "right" }];
const badLogin = { v3: 4, v5: 0x86 };

export const connectCases: readonly Case[] = [
  claim(
    { v3: "3.1.0-1", v5: "3.1.0-1" },
    "a first packet that is no CONNECT closes the connection",
    async (site) => {
      const first: readonly Packet[] = [
        { cmd: "publish", topic: "a", payload: "x", qos: 0, retain: false, dup: false },
        { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 0 }] },
        { cmd: "pingreq" },
        { cmd: "disconnect" },
        { cmd: "puback", messageId: 1 },
      ];
      for (const packet of first) {
        const client = site.open();
        client.sendPacket(packet);
        await site.settle();
        assert.deepEqual(client.take(), [], "without a word");
        assert.ok(client.isClosed, "the network connection is closed");
      }
      assert.deepEqual(site.received, [], "nothing of it is taken");
    },
  ),
  claim(
    { v3: "3.1.0-2", v5: "3.1.0-2" },
    "a second CONNECT closes the connection",
    async (site) => {
      const client = await site.connect("a");
      client.sendPacket(connectPacketOf(site.level, { clientId: "a" }));
      await site.settle();
      assertRefused(client, 0x82);
    },
  ),
  claim(
    { v3: "3.1.2-1", v5: "3.1.2-1" },
    "another protocol name is not taken for MQTT",
    async (site) => {
      for (const name of ["mqtt", "MQT", "MQTTT", "HTTP", ""]) {
        const client = site.open();
        await client.connect(connectBytes(site.level, { name, payload: [text("x")] }));
        assertNotConnected(client, 0x84, 0x81);
      }
    },
  ),
  claim(
    { v3: "3.1.2-2", v5: "3.1.2-2" },
    "a protocol level that is not spoken is answered so, then the connection is closed",
    async (site) => {
      for (const [level, code] of [
        [2, 1],
        [6, 0x84],
        [127, 0x84],
      ] as const) {
        const client = site.open(level >= 5 ? 5 : 4);
        const connack = await client.connect(
          connectBytes(level >= 5 ? 5 : 4, { level, payload: [text("x")] }),
        );
        assert.ok(connack, "there is a CONNACK");
        assert.equal(codeOf(connack), code);
        assert.ok(client.isClosed, "the network connection is closed");
      }
    },
  ),
  claim(
    { v3: "3.1.2-3", v5: "3.1.2-3" },
    "a CONNECT with the reserved flag set closes the connection",
    async (site) => {
      const client = site.open();
      await client.connect(connectBytes(site.level, { flags: 0x03, payload: [text("x")] }));
      assertNotConnected(client, 0x81);
    },
  ),
  claim(
    { v3: "3.1.4-4", v5: "3.1.4-5" },
    "a CONNECT is acknowledged with a CONNACK of code 0",
    async (site) => {
      const client = site.open();
      const connack = await client.connect(connectPacketOf(site.level, { clientId: "a" }));
      assert.ok(connack, "there is a CONNACK");
      assert.equal(codeOf(connack), 0);
      assert.equal(client.isClosed, false);
    },
  ),
  claim(
    { v3: "3.2.0-1", v5: "3.2.0-1" },
    "the first packet from the server is the CONNACK, whatever was sent behind the CONNECT",
    async (site) => {
      const away = await site.connectKept("sub");
      await away.subscribe("a", { qos: 1 });
      await away.vanish();
      const pub = await site.connect();
      await pub.publish("a", "kept", { qos: 1 });
      await pub.publish("b", "retained", { qos: 1, retain: true });
      const back = site.open();
      const received = await back.exchange(
        connectPacketOf(site.level, site.kept("sub")),
        { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "b", qos: 0 }] },
        { cmd: "pingreq" },
        {
          cmd: "publish",
          topic: "c",
          payload: "x",
          qos: 1,
          messageId: 2,
          retain: false,
          dup: false,
        },
      );
      assert.equal(received[0]?.cmd, "connack");
      assert.deepEqual(received.map(({ cmd }) => cmd).toSorted(), [
        "connack",
        "pingresp",
        "puback",
        "publish",
        "publish",
        "suback",
      ]);
    },
  ),
  claim(
    { v3: "§3.1.4", v5: "§3.1.4" },
    "what a client sends behind its CONNECT, before the CONNACK, is processed",
    async (site) => {
      const sub = await site.connect();
      await sub.subscribe("a");
      const client = site.open();
      const packet = client.publishPacket("a", "early", { qos: 1, id: 9 });
      await client.exchange(connectPacketOf(site.level, { clientId: "x" }), packet);
      assert.deepEqual(sub.messages(), ["a early"]);
    },
  ),
  claim({ v5: "3.2.0-2" }, "there is one CONNACK in a connection", async (site) => {
    const client = site.open();
    const connect = connectPacketOf(site.level, { clientId: "a" });
    const received = [
      ...(await client.exchange(connect)),
      ...(await client.exchange({ cmd: "pingreq" })),
      ...(await client.exchange(connect)),
    ];
    assert.equal(received.filter(({ cmd }) => cmd === "connack").length, 1);
  }),
  claim(
    { v3: "3.1.4-2", v5: "3.1.4-3" },
    "a client whose identifier connects again is disconnected",
    async (site) => {
      const first = await site.connect("twin");
      const second = await site.connect("twin");
      assertRefused(first, 0x8e);
      assert.equal(second.isClosed, false);
      await second.exchange({ cmd: "pingreq" });
      assert.equal(second.isClosed, false);
    },
  ),
  claim(
    { v3: "3.1.4-2", v5: "3.1.4-3" },
    "of many connections with one identifier the last one stays",
    async (site) => {
      const clients = [];
      for (let i = 0; i < 5; i++) {
        const client = site.open();
        client.sendPacket(connectPacketOf(site.level, { clientId: "twin" }));
        clients.push(client);
      }
      await site.settle();
      assert.deepEqual(
        clients.map(({ isClosed }) => isClosed),
        [true, true, true, true, false],
      );
    },
  ),
  claim(
    { v3: "3.2.2-4 3.2.2-5", v5: "3.2.2-6 3.2.2-7 3.1.4-2" },
    "a wrong password is refused with its code, session present 0, and the connection is closed",
    async (site) => {
      const kept = await site.connect(
        site.kept("x", { username: "pump", password: Buffer.from("right") }),
      );
      await kept.subscribe("a", { qos: 1 });
      await kept.disconnect();
      const client = site.open();
      const connack = await client.connect(
        connectPacketOf(
          site.level,
          site.kept("x", { username: "pump", password: Buffer.from("wrong") }),
        ),
      );
      assert.ok(connack, "there is a CONNACK");
      assert.equal(codeOf(connack), site.level === 4 ? badLogin.v3 : badLogin.v5);
      assert.equal(connack.sessionPresent, false);
      assert.ok(client.isClosed, "the network connection is closed");
    },
    { users },
  ),
  claim(
    { v3: "§3.1.4", v5: "§3.1.4" },
    "a client without a name is refused where there are users",
    async (site) => {
      const client = site.open();
      const connack = await client.connect(connectPacketOf(site.level, { clientId: "x" }));
      assert.ok(connack, "there is a CONNACK");
      assert.ok((site.level === 4 ? [5] : [0x86, 0x87]).includes(codeOf(connack)));
      assert.ok(client.isClosed, "the network connection is closed");
    },
    { users },
  ),
  claim(
    { v3: "3.1.4-5", v5: "3.1.4-6" },
    "what follows a CONNECT that is refused is not processed",
    async (site) => {
      const login = { username: "pump", password: Buffer.from("right") };
      const sub = await site.connect(login);
      await sub.subscribe("#");
      const client = site.open();
      const packet = client.publishPacket("a", "smuggled", { qos: 1, id: 1 });
      const received = await client.exchange(
        connectPacketOf(site.level, { clientId: "x", ...login, password: Buffer.from("wrong") }),
        packet,
        { cmd: "pingreq" },
      );
      assert.deepEqual(
        received.map(({ cmd }) => cmd),
        ["connack"],
      );
      assert.deepEqual(sub.messages(), []);
      assert.deepEqual(site.received, []);
    },
    { users },
  ),
  claim(
    { v3: "3.2.2-1", v5: "3.2.2-2 3.2.2-1" },
    "a clean start says that no session is present",
    async (site) => {
      const kept = await site.connectKept("a");
      await kept.subscribe("a", { qos: 1 });
      await kept.disconnect();
      const client = await site.connect({ clientId: "a", clean: true });
      assert.equal(client.connack?.sessionPresent, false);
    },
  ),
  claim(
    { v3: "3.2.2-2 3.2.2-3", v5: "3.2.2-3" },
    "a kept session with subscriptions is said to be present, a new one is not",
    async (site) => {
      const first = await site.connectKept("a");
      assert.equal(first.connack?.sessionPresent, false);
      await first.subscribe("a", { qos: 1 });
      await first.disconnect();
      const second = await site.connectKept("a");
      assert.equal(second.connack?.sessionPresent, true);
    },
  ),
  claim(
    { v3: "3.2.2-2", v5: "3.2.2-3" },
    "a kept session without subscriptions is said to be present",
    async (site) => {
      await (await site.connectKept("a")).disconnect();
      const again = await site.connectKept("a");
      assert.equal(again.connack?.sessionPresent, true);
    },
  ),
  claim(
    { v3: "3.14.4-3", v5: "3.14.4-3" },
    "a DISCONNECT takes the will back and closes the connection",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will");
      const client = await site.connect({ will: { topic: "will", payload: "gone" } });
      client.sendPacket({ cmd: "disconnect" });
      await site.settle();
      assert.ok(client.isClosed, "the server closes it where the client does not");
      assert.deepEqual(watcher.messages(), []);
    },
  ),
  claim(
    { v3: "3.1.4-1 3.2.2-6", v5: "3.1.4-1" },
    "a CONNECT that is cut off, or followed by more than it should hold, is refused",
    async (site) => {
      const props = site.level === 5 ? [properties()] : [];
      const head = (flags: number): Buffer =>
        Buffer.concat([text("MQTT"), byte(site.level, flags), word(0), ...props]);
      const bad: readonly Buffer[] = [
        frame(0x10),
        frame(0x10, text("MQTT")),
        frame(0x10, text("MQTT"), byte(site.level)),
        frame(0x10, text("MQTT"), byte(site.level, 2)),
        frame(0x10, text("MQTT"), byte(site.level, 2), byte(0)),
        frame(0x10, head(2), word(9), byte(0x61)),
        frame(0x10, head(2), text("a"), text("more")),
        frame(0x10, head(0x82), text("a"), word(4), byte(0x70)),
      ];
      for (const packet of bad) {
        const client = site.open();
        await client.connect(packet);
        assertNotConnected(client, 0x81, 0x82);
      }
    },
  ),
];
