/** MQTT over WebSocket: chapter 6 of both specifications, on real sockets. */

import assert from "node:assert/strict";
import { type Case, claim } from "../case.ts";
import { connectPacketOf } from "../client.ts";
import { BINARY, CONTINUATION, TEXT } from "../web-socket-wire.ts";

const over = "websocket" as const;

export const webSocketCases: readonly Case[] = [
  claim(
    { v3: "6.0.0-1", v5: "6.0.0-1" },
    "packets go in binary frames both ways, and a text frame closes the connection",
    async (site) => {
      const { client, wire } = site.openWebSocket();
      const connack = await client.connect(connectPacketOf(site.level, { clientId: "a" }));
      assert.ok(connack, "there is a CONNACK");
      await client.subscribe("a", { qos: 1 });
      await client.publish("a", "x".repeat(1_000), { qos: 1 });
      assert.equal(client.messages().length, 1);
      assert.ok(wire.opcodes.every((opcode) => opcode === BINARY));
      wire.frame(TEXT, client.encode({ cmd: "pingreq" }));
      await site.settle();
      assert.ok(client.isClosed, "the network connection is closed");
      assert.deepEqual(client.take(), []);
    },
    { over },
  ),
  claim(
    { v3: "6.0.0-2", v5: "6.0.0-2" },
    "packets need not be aligned with frames or messages",
    async (site) => {
      const { client, wire } = site.openWebSocket();
      const bytes = Buffer.concat([
        client.encode(connectPacketOf(site.level, { clientId: "a" })),
        client.encode({
          cmd: "subscribe",
          messageId: 1,
          subscriptions: [{ topic: "a", qos: 1 }],
        }),
      ]);
      for (const byte of bytes) wire.frame(BINARY, Buffer.from([byte]));
      await site.settle();
      assert.deepEqual(client.kinds(), ["connack", "suback 1"]);
      const messages = [1, 2, 3].map((id) =>
        client.encode(client.publishPacket("a", `${id}`, { qos: 1, id })),
      );
      const many = Buffer.concat(messages);
      wire.frame(BINARY, many.subarray(0, 5), false);
      wire.frame(CONTINUATION, many.subarray(5, 20), false);
      wire.frame(CONTINUATION, many.subarray(20));
      await site.settle();
      assert.deepEqual(client.messages(), ["a 1", "a 2", "a 3"]);
    },
    { over },
  ),
  claim(
    { v3: "6.0.0-4", v5: "6.0.0-4" },
    "the subprotocol that is chosen is mqtt",
    async (site) => {
      for (const subprotocols of ["mqtt", "chat, mqtt", "mqtt, chat"]) {
        const { client, wire } = site.openWebSocket({ subprotocols });
        await client.connect(connectPacketOf(site.level, { clientId: subprotocols }));
        assert.equal(wire.subprotocol, "mqtt");
      }
    },
    { over },
  ),
];
