/** What MQTT 5 says in CONNACK, and what is agreed there. */

import assert from "node:assert/strict";
import { byte, connectBytes, properties, text } from "../bytes.ts";
import { type Case, claim } from "../case.ts";
import { codeOf, connectPacketOf } from "../client.ts";

const users = [{ name: "pump", password: "right" }];

/** Reason codes of a CONNACK, MQTT 5 table 3-1. */
const connackReasons = new Set([
  0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97,
  0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
]);

export const connackCases: readonly Case[] = [
  claim(
    { v5: "3.2.2-16 3.1.3-7" },
    "a client without an identifier is told the one it was given, each another",
    async (site) => {
      const first = await site.connect({ clientId: "" });
      const second = await site.connect({ clientId: "" });
      const ids = [first, second].map(
        ({ connack }) => connack?.properties?.assignedClientIdentifier,
      );
      assert.ok(ids.every((id) => id !== undefined && id.length > 0));
      assert.notEqual(ids[0], ids[1]);
      const named = await site.connect("mine");
      assert.equal(named.connack?.properties?.assignedClientIdentifier, undefined);
    },
  ),
  claim(
    { v5: "3.1.3-7 3.1.3-6" },
    "it can come back under the identifier it was given",
    async (site) => {
      const properties5 = { sessionExpiryInterval: 100 };
      const first = await site.connect({ clientId: "", properties: properties5 });
      await first.subscribe("a", { qos: 1 });
      const clientId = first.connack?.properties?.assignedClientIdentifier ?? "";
      await first.disconnect();
      const back = await site.connect({ clientId, clean: false, properties: properties5 });
      assert.equal(back.connack?.sessionPresent, true);
    },
  ),
  claim(
    { v5: "3.2.2-22 3.1.2-22" },
    "the keep alive is the client's unless CONNACK names another, and that one is kept",
    async (site) => {
      for (const keepalive of [2, 30, 65_535]) {
        const client = await site.connect({ keepalive });
        const agreed = client.connack?.properties?.serverKeepAlive ?? keepalive;
        await site.pass(agreed);
        assert.equal(client.isClosed, false, `${keepalive}: not before ${agreed} s`);
        await site.pass(agreed);
        assert.ok(client.isClosed, `${keepalive}: closed by 2 x ${agreed} s`);
      }
    },
  ),
  claim({ v5: "§3.2.2.3" }, "what CONNACK says of the server can be", async (site) => {
    const client = await site.connect();
    const said = client.connack?.properties ?? {};
    assert.notEqual(said.receiveMaximum, 0);
    assert.notEqual(said.maximumPacketSize, 0);
    assert.ok(said.maximumQoS === undefined || said.maximumQoS < 2);
    assert.equal(said.retainAvailable ?? true, true);
    assert.equal(said.wildcardSubscriptionAvailable ?? true, true);
  }),
  claim(
    { v5: "3.2.2-8" },
    "a refusal has one of the reasons of a CONNACK",
    async (site) => {
      const login = { username: "pump", password: Buffer.from("wrong") };
      const refused = [
        connectPacketOf(5, { clientId: "a", ...login }),
        connectPacketOf(5, { clientId: "a" }),
        connectBytes(5, { level: 6, payload: [text("a")] }),
        connectBytes(5, { flags: 0x03, payload: [text("a")] }),
        connectBytes(5, { properties: [byte(0x21, 0, 0)], payload: [text("a")] }),
        connectBytes(5, { properties: [byte(0x15), text("GS2")], payload: [text("a")] }),
      ];
      for (const packet of refused) {
        const client = site.open();
        const connack = await client.connect(packet);
        assert.ok(client.isClosed, "the network connection is closed");
        if (connack === undefined) continue;
        const code = codeOf(connack);
        assert.ok(code >= 0x80 && connackReasons.has(code), `0x${code.toString(16)}`);
        assert.deepEqual(client.take(), [], "nothing follows it");
      }
    },
    { users },
  ),
  claim(
    { v5: "3.1.2-28" },
    "no response information comes to who did not ask for it",
    async (site) => {
      for (const asked of [{}, { requestResponseInformation: false }]) {
        const client = await site.connect({ properties: asked });
        assert.equal(client.connack?.properties?.responseInformation, undefined);
      }
    },
  ),
  claim(
    { v5: "3.1.2-29" },
    "a client that asks for no problem information gets no reason strings or user properties",
    async (site) => {
      const client = await site.connect({ properties: { requestProblemInformation: false } });
      const answers = [
        ...(await client.exchange({
          cmd: "subscribe",
          messageId: 1,
          subscriptions: [
            { topic: "a", qos: 0 },
            { topic: "$share/g/a", qos: 0 },
          ],
        })),
        ...(await client.exchange({ cmd: "unsubscribe", messageId: 2, unsubscriptions: ["b"] })),
        ...(await client.exchange({ cmd: "pubrel", messageId: 3 })),
        ...(await client.exchange(client.publishPacket("a", "x", { qos: 1, id: 4 }))),
      ];
      for (const answer of answers) {
        if (answer.cmd === "publish" || !("properties" in answer)) continue;
        assert.deepEqual(answer.properties ?? {}, {}, answer.cmd);
      }
    },
  ),
  claim(
    { v5: "3.2.2-19 3.2.2-20" },
    "a CONNACK is not larger than what the client takes",
    async (site) => {
      const client = site.open();
      await client.connect(
        connectPacketOf(5, {
          clientId: "a",
          username: "pump",
          password: Buffer.from("wrong"),
          properties: { maximumPacketSize: 20 },
        }),
      );
      assert.ok(client.connack, "there is a CONNACK");
      assert.ok(client.encode(client.connack).length <= 20);
    },
    { users },
  ),
  claim(
    { v5: "4.12.0-1 4.12.0-6" },
    "an authentication method is refused with its reason, for there is none",
    async (site) => {
      const client = site.open();
      const connack = await client.connect(
        connectPacketOf(5, {
          clientId: "a",
          properties: {
            authenticationMethod: "SCRAM-SHA-256",
            authenticationData: Buffer.from("n,,n=user,r=x"),
          },
        }),
      );
      assert.ok(client.isClosed, "the network connection is closed");
      if (connack !== undefined) {
        assert.ok([0x8c, 0x87].includes(codeOf(connack)));
        assert.equal(connack.properties?.authenticationMethod, undefined);
      }
    },
  ),
  claim({ v5: "§3.1.2.11.10" }, "authentication data without a method is refused", async (site) => {
    const client = site.open();
    const connack = await client.connect(
      connectBytes(5, { properties: [byte(0x16), text("data")], payload: [text("a")] }),
    );
    assert.ok(client.isClosed, "the network connection is closed");
    if (connack !== undefined) assert.equal(codeOf(connack), 0x82);
  }),
  claim(
    { v5: "§3.15" },
    "an AUTH from a client that named no method closes the connection",
    async (site) => {
      const client = await site.connect();
      const received = await client.exchange(Buffer.concat([byte(0xf0, 2, 0x18), properties()]));
      assert.ok(client.isClosed, "the network connection is closed");
      const [last] = received;
      assert.ok(last?.cmd === "disconnect", "a DISCONNECT says why");
      assert.ok([0x82, 0x81].includes(last.reasonCode ?? 0));
    },
  ),
  claim(
    { v5: "3.15.1-1" },
    "an AUTH with reserved flags set closes the connection",
    async (site) => {
      const client = await site.connect();
      await client.exchange(Buffer.concat([byte(0xf1, 2, 0x18), properties()]));
      assert.ok(client.isClosed, "the network connection is closed");
    },
  ),
  claim(
    { v5: "§3.2.2.3.2" },
    "a session expiry that is cut short is told, one that is not is the client's",
    async (site) => {
      const client = await site.connect({ properties: { sessionExpiryInterval: 100 } });
      assert.equal(client.connack?.properties?.sessionExpiryInterval ?? 100, 100);
      const long = await site.connect({ properties: { sessionExpiryInterval: 0xffff_ffff } });
      const said = long.connack?.properties?.sessionExpiryInterval ?? 0xffff_ffff;
      assert.ok(said > 0);
    },
  ),
];
