/** The flags of a CONNECT and the fields they announce. */

import assert from "node:assert/strict";
import { byte, connectBytes, frame, illFormed, properties, text, word } from "../bytes.ts";
import { type Case, claim } from "../case.ts";
import { codeOf, connectPacketOf } from "../client.ts";
import { assertNotConnected, type Site } from "../site.ts";

const WILL = 0x04;
const WILL_QOS_1 = 0x08;
const WILL_QOS_2 = 0x10;
const WILL_RETAIN = 0x20;
const PASSWORD = 0x40;
const USER = 0x80;

const users = [{ name: "pump", password: "right" }];

function willProperties(site: Site): readonly Uint8Array[] {
  return site.level === 5 ? [properties()] : [];
}

async function refusesEach(
  site: Site,
  connects: readonly { readonly flags: number; readonly payload: readonly Uint8Array[] }[],
  ...reasons: readonly number[]
): Promise<void> {
  for (const { flags, payload } of connects) {
    const client = site.open();
    await client.connect(connectBytes(site.level, { flags: flags | 0x02, payload }));
    assertNotConnected(client, ...reasons);
  }
}

export const connectPayloadCases: readonly Case[] = [
  claim(
    { v3: "3.1.2-9", v5: "3.1.2-9" },
    "a will that is announced but not there is refused",
    (site) =>
      refusesEach(
        site,
        [
          { flags: WILL, payload: [text("x")] },
          { flags: WILL, payload: [text("x"), ...willProperties(site), text("topic")] },
        ],
        0x81,
      ),
  ),
  claim(
    { v3: "3.1.2-11", v5: "3.1.4-1" },
    "a will that is there but not announced is refused",
    (site) =>
      refusesEach(
        site,
        [{ flags: 0, payload: [text("x"), ...willProperties(site), text("t"), text("m")] }],
        0x81,
      ),
  ),
  claim({ v3: "3.1.2-13", v5: "3.1.2-11" }, "a will QoS without a will is refused", (site) =>
    refusesEach(
      site,
      [WILL_QOS_1, WILL_QOS_2].map((flags) => ({ flags, payload: [text("x")] })),
      0x81,
    ),
  ),
  claim({ v3: "3.1.2-14", v5: "3.1.2-12" }, "will QoS 3 is refused", (site) =>
    refusesEach(
      site,
      [
        {
          flags: WILL | WILL_QOS_1 | WILL_QOS_2,
          payload: [text("x"), ...willProperties(site), text("t"), text("m")],
        },
      ],
      0x81,
      0x9b,
    ),
  ),
  claim({ v3: "3.1.2-15", v5: "3.1.2-13" }, "will retain without a will is refused", (site) =>
    refusesEach(site, [{ flags: WILL_RETAIN, payload: [text("x")] }], 0x81),
  ),
  claim(
    { v3: "3.1.2-18 3.1.2-20", v5: "3.1.2-16 3.1.2-18" },
    "a user name or password that is there but not announced is refused",
    (site) =>
      refusesEach(
        site,
        [
          { flags: 0, payload: [text("x"), text("user")] },
          { flags: USER, payload: [text("x"), text("user"), text("password")] },
        ],
        0x81,
      ),
  ),
  claim(
    { v3: "3.1.2-19 3.1.2-21", v5: "3.1.2-17 3.1.2-19" },
    "a user name or password that is announced but not there is refused",
    (site) =>
      refusesEach(
        site,
        [
          { flags: USER, payload: [text("x")] },
          { flags: USER | PASSWORD, payload: [text("x"), text("user")] },
        ],
        0x81,
      ),
  ),
  claim({ v3: "3.1.2-22" }, "a password without a user name is refused", (site) =>
    refusesEach(site, [{ flags: PASSWORD, payload: [text("x"), text("password")] }], 0x81),
  ),
  claim({ v5: "§3.1.2.9" }, "a password without a user name is no protocol error", async (site) => {
    const client = site.open();
    const connack = await client.connect(
      connectBytes(5, { flags: PASSWORD | 0x02, payload: [text("x"), text("password")] }),
    );
    assert.ok(connack, "there is a CONNACK");
    assert.equal(codeOf(connack), 0);
  }),
  claim(
    { v3: "3.1.3-1", v5: "3.1.3-1" },
    "all fields of the payload are read in their order",
    async (site) => {
      const login = { username: "pump", password: Buffer.from("right") };
      const watcher = await site.connect(login);
      await watcher.subscribe("the/will");
      const client = await site.connect({
        clientId: "whole",
        ...login,
        will: { topic: "the/will", payload: "the message", qos: 1, retain: false },
      });
      await client.vanish();
      assert.deepEqual(watcher.messages(), ["the/will the message"]);
    },
    { users },
  ),
  claim(
    { v3: "3.1.3-2", v5: "3.1.3-2" },
    "a session belongs to its client identifier alone",
    async (site) => {
      for (const id of ["a", "A", "aa"]) {
        const client = await site.connectKept(id);
        await client.subscribe(`of/${id}`, { qos: 1 });
        await client.disconnect();
      }
      const pub = await site.connect();
      for (const id of ["a", "A", "aa"]) await pub.publish(`of/${id}`, id, { qos: 1 });
      for (const id of ["aa", "A", "a"]) {
        const client = await site.connectKept(id);
        await site.settle();
        assert.deepEqual(client.messages(), [`of/${id} ${id}`]);
      }
    },
  ),
  claim(
    { v3: "3.1.3-3", v5: "3.1.3-3" },
    "a CONNECT without a client identifier is refused",
    (site) => refusesEach(site, [{ flags: 0, payload: [] }], 0x81),
  ),
  claim(
    { v3: "3.1.3-4", v5: "3.1.3-4 3.1.3-8" },
    "a client identifier that is not UTF-8, or has U+0000, is refused",
    (site) =>
      refusesEach(
        site,
        [...illFormed, "a\0b"].map((bad) => ({ flags: 0, payload: [text(bad)] })),
        0x81,
        0x85,
      ),
  ),
  claim(
    { v3: "3.1.3-5", v5: "3.1.3-5" },
    "identifiers of 1 to 23 letters and digits are allowed",
    async (site) => {
      const alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
      for (let at = 0; at < alphabet.length; at += 20) {
        await site.connect(alphabet.slice(at, at + 23));
      }
      for (const id of ["0", "z", "Z", "a".repeat(23)]) await site.connect(id);
    },
  ),
  claim(
    { v3: "§3.1.3.1", v5: "§3.1.3.1" },
    "longer identifiers and other characters are allowed too",
    async (site) => {
      for (const id of ["a".repeat(200), "pump/7", "é€😀", "with blank", "+", "#"]) {
        await site.connect(id);
      }
    },
  ),
  claim(
    { v3: "3.1.3-6 3.1.3-7", v5: "3.1.3-6 3.1.3-7" },
    "clients without an identifier are told apart",
    async (site) => {
      const first = await site.connect({ clientId: "" });
      const second = await site.connect({ clientId: "" });
      await second.subscribe("a");
      await first.publish("a", "x");
      assert.equal(first.isClosed, false);
      assert.deepEqual(second.messages(), ["a x"]);
    },
  ),
  claim(
    { v3: "3.1.3-8 3.1.3-9" },
    "no identifier and no clean session is answered with code 2 and closed",
    async (site) => {
      const client = site.open();
      const connack = await client.connect(
        connectBytes(site.level, { flags: 0, payload: [text("")] }),
      );
      assert.ok(connack, "there is a CONNACK");
      assert.equal(codeOf(connack), 2);
      assert.ok(client.isClosed, "the network connection is closed");
    },
  ),
  claim(
    { v3: "3.1.3-10", v5: "3.1.3-11" },
    "a will topic that is not UTF-8, or has U+0000, is refused",
    (site) =>
      refusesEach(
        site,
        [...illFormed, "a\0b"].map((bad) => ({
          flags: WILL,
          payload: [text("x"), ...willProperties(site), text(bad), text("m")],
        })),
        0x81,
        0x90,
      ),
  ),
  claim(
    { v3: "4.7.3-1", v5: "4.7.3-1" },
    "a will topic that is empty or has a wildcard is refused",
    (site) =>
      refusesEach(
        site,
        ["", "a/+", "#"].map((bad) => ({
          flags: WILL,
          payload: [text("x"), ...willProperties(site), text(bad), text("m")],
        })),
        0x81,
        0x90,
      ),
  ),
  claim(
    { v3: "3.1.3-11", v5: "3.1.3-12" },
    "a user name that is not UTF-8, or has U+0000, is refused",
    (site) =>
      refusesEach(
        site,
        [...illFormed, "a\0b"].map((bad) => ({
          flags: USER,
          payload: [text("x"), text(bad)],
        })),
        0x81,
        0x86,
      ),
  ),
  claim(
    { v3: "§3.1.3.5", v5: "§3.1.3.6" },
    "a password is binary data and may be anything",
    async (site) => {
      const client = site.open();
      const connack = await client.connect(
        connectBytes(site.level, {
          flags: 0x02 | USER | PASSWORD,
          payload: [text("x"), text("user"), text(Buffer.from([0, 0xff, 0xfe, 0x80]))],
        }),
      );
      assert.ok(connack, "there is a CONNACK");
      assert.equal(codeOf(connack), 0);
    },
  ),
  claim(
    { v3: "§3.1.3.3", v5: "§3.1.3.4" },
    "a will message is binary data and may be empty",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will/#");
      for (const payload of [Buffer.alloc(0), Buffer.from([0, 0xff, 0x80])]) {
        const client = site.open();
        const connack = await client.connect(
          connectPacketOf(site.level, { clientId: "w", will: { topic: "will/a", payload } }),
        );
        assert.ok(connack, "there is a CONNACK");
        await client.vanish();
        assert.deepEqual(
          watcher.publications().map((publication) => publication.payload),
          [payload],
        );
      }
    },
  ),
  claim(
    { v3: "3.1.4-1", v5: "3.1.4-1" },
    "a CONNECT whose remaining length is that of another packet is refused",
    async (site) => {
      const client = site.open();
      const props = site.level === 5 ? [properties()] : [];
      await client.connect(
        frame(0x10, text("MQTT"), byte(site.level, 2), word(0), ...props, word(200), byte(0x61)),
      );
      assertNotConnected(client, 0x81);
    },
  ),
];
