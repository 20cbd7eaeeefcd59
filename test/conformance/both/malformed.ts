/** Fixed headers, packet identifiers, and packets that are not what they should be. */

import assert from "node:assert/strict";
import { type Site, assertEachRefused, assertNotConnected, assertRefused } from "../site.ts";
import { byte, connectBytes, frame, illFormed, properties, text, word } from "../bytes.ts";
import { type Case, claim } from "../case.ts";

const MALFORMED = 0x81;
const PROTOCOL_ERROR = 0x82;
const TOO_LARGE = 0x95;

/** Empty properties where the version has them. */
function none(site: Site): Buffer {
  return site.level === 5 ? properties() : byte();
}

export const malformedCases: readonly Case[] = [
  claim(
    { v3: "1.5.3-1", v5: "1.5.4-1" },
    "text that is not well-formed UTF-8 in a topic name closes the connection",
    (site) =>
      assertEachRefused(
        site,
        illFormed.map((bad) => frame(0x30, text(bad), none(site))),
        MALFORMED,
        0x90,
      ),
  ),
  claim(
    { v3: "1.5.3-2", v5: "1.5.4-2" },
    "a topic name with U+0000 closes the connection",
    (site) => assertEachRefused(site, [frame(0x30, text("a\0b"), none(site))], MALFORMED, 0x90),
  ),
  claim(
    { v3: "1.5.3-3", v5: "1.5.4-3" },
    "U+FEFF at the beginning of a text is part of it",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe([
        { topic: "\u{feff}a", qos: 0 },
        { topic: "b\u{feff}c", qos: 0 },
      ]);
      await pub.publish("a", "without");
      await pub.publish("\u{feff}a", "with");
      await pub.publish("b\u{feff}c", "within");
      assert.deepEqual(sub.messages(), ["\u{feff}a with", "b\u{feff}c within"]);
    },
  ),
  claim(
    { v3: "2.2.2-1 2.2.2-2", v5: "2.1.3-1" },
    "wrong reserved flags in a fixed header close the connection",
    async (site) => {
      const ack = word(1);
      await assertEachRefused(
        site,
        [
          ...[0x41, 0x42, 0x44, 0x48].map((head) => frame(head, ack)),
          ...[0x51, 0x52].map((head) => frame(head, ack)),
          ...[0x71, 0x72].map((head) => frame(head, ack)),
          ...[0xc1, 0xc2, 0xc8].map((head) => frame(head)),
        ],
        MALFORMED,
      );
      const client = site.open();
      await client.connect(
        Buffer.concat([byte(0x12), connectBytes(site.level, { payload: [text("x")] }).subarray(1)]),
      );
      assertNotConnected(client, MALFORMED);
    },
  ),
  claim(
    { v3: "3.6.1-1", v5: "3.6.1-1" },
    "a PUBREL whose flags are not 0010 closes the connection",
    (site) =>
      assertEachRefused(
        site,
        [0x60, 0x61, 0x63, 0x64, 0x66].map((head) => frame(head, word(1))),
        MALFORMED,
      ),
  ),
  claim(
    { v3: "3.8.1-1", v5: "3.8.1-1" },
    "a SUBSCRIBE whose flags are not 0010 closes the connection",
    (site) =>
      assertEachRefused(
        site,
        [0x80, 0x81, 0x83, 0x84, 0x86].map((head) =>
          frame(head, word(1), none(site), text("a"), byte(0)),
        ),
        MALFORMED,
      ),
  ),
  claim(
    { v3: "3.10.1-1", v5: "3.10.1-1" },
    "an UNSUBSCRIBE whose flags are not 0010 closes the connection",
    (site) =>
      assertEachRefused(
        site,
        [0xa0, 0xa1, 0xa3, 0xa4, 0xa6].map((head) => frame(head, word(1), none(site), text("a"))),
        MALFORMED,
      ),
  ),
  claim(
    { v3: "3.14.1-1", v5: "3.14.1-1" },
    "a DISCONNECT with reserved bits set is no DISCONNECT: the connection is closed, the will published",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will");
      for (const head of [0xe1, 0xe2, 0xe8]) {
        const client = await site.connect({ will: { topic: "will", payload: "gone" } });
        client.send(frame(head));
        await site.settle();
        assertRefused(client, MALFORMED);
        assert.deepEqual(watcher.messages(), ["will gone"]);
      }
    },
  ),
  claim(
    { v3: "2.3.1-1", v5: "2.2.1-3" },
    "packet identifier 0 in PUBLISH, SUBSCRIBE or UNSUBSCRIBE closes the connection",
    (site) =>
      assertEachRefused(
        site,
        [
          frame(0x32, text("a"), word(0), none(site)),
          frame(0x34, text("a"), word(0), none(site)),
          frame(0x82, word(0), none(site), text("a"), byte(0)),
          frame(0xa2, word(0), none(site), text("a")),
        ],
        MALFORMED,
        PROTOCOL_ERROR,
      ),
  ),
  claim(
    { v3: "3.3.1-4", v5: "3.3.1-4" },
    "a PUBLISH with both QoS bits set closes the connection",
    (site) =>
      assertEachRefused(
        site,
        [0x36, 0x37, 0x3e].map((head) => frame(head, text("a"), word(1), none(site))),
        MALFORMED,
      ),
  ),
  claim(
    { v3: "4.8.0-1", v5: "4.13.1-1" },
    "a packet that only a server sends, or of a type that does not exist, closes the connection",
    (site) =>
      assertEachRefused(
        site,
        [
          site.level === 4 ? frame(0x20, byte(0, 0)) : frame(0x20, byte(0, 0), properties()),
          frame(0x90, word(1), none(site), byte(0)),
          site.level === 4 ? frame(0xb0, word(1)) : frame(0xb0, word(1), properties(), byte(0)),
          frame(0xd0),
          frame(0x00),
          site.level === 4 ? frame(0xf0) : frame(0xf0, byte(0x18), properties()),
        ],
        MALFORMED,
        PROTOCOL_ERROR,
      ),
  ),
  claim(
    { v3: "4.8.0-1", v5: "4.13.1-1" },
    "a packet shorter than what is in it closes the connection",
    (site) =>
      assertEachRefused(
        site,
        [
          frame(0x30),
          frame(0x30, word(5), byte(0x61)),
          frame(0x32, text("a"), byte(0)),
          frame(0x40, byte(0)),
          frame(0x62, byte(0)),
          frame(0x82, word(1)),
          frame(0x82, word(1), none(site), word(9), byte(0x61)),
          frame(0xa2, word(1), none(site), word(9), byte(0x61)),
        ],
        MALFORMED,
        PROTOCOL_ERROR,
      ),
  ),
  claim(
    { v3: "4.8.0-1", v5: "4.13.1-1" },
    "a packet longer than what is in it closes the connection",
    (site) =>
      assertEachRefused(
        site,
        site.level === 4
          ? [
              frame(0x40, word(1), byte(0)),
              frame(0x62, word(1), byte(0)),
              frame(0xc0, byte(0)),
              frame(0xe0, byte(0)),
            ]
          : [frame(0xc0, byte(0)), frame(0x40, word(1), byte(0), properties(), byte(0))],
        MALFORMED,
        PROTOCOL_ERROR,
      ),
  ),
  claim(
    { v3: "§2.2.3", v5: "§2.1.4" },
    "a remaining length of five bytes closes the connection",
    async (site) => {
      const client = await site.connect();
      client.send(byte(0x30, 0xff, 0xff, 0xff, 0xff, 0x01));
      await site.settle();
      assertRefused(client, MALFORMED);
    },
  ),
  claim(
    { v3: "§2.2.3", v5: "§2.1.4" },
    "packets of every size up to the limit arrive whole, in whatever pieces they come",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a");
      const sizes = [0, 1, 120, 127, 128, 200, 16_000, 16_383, 16_384, 100_000];
      const bytes = Buffer.concat(
        sizes.map((size) => pub.encode(pub.publishPacket("a", "x".repeat(size)))),
      );
      for (let at = 0; at < bytes.length; at += 977) pub.send(bytes.subarray(at, at + 977));
      await site.settle();
      assert.deepEqual(
        sub.publications().map(({ payload }) => payload.length),
        sizes,
      );
    },
  ),
  claim(
    { v3: "4.8.0-1", v5: "§3.2.2.3.6" },
    "a packet beyond the largest that the server takes closes the connection",
    async (site) => {
      const client = await site.connect();
      client.send(byte(0x30, 0xff, 0xff, 0x7f), Buffer.alloc(100));
      await site.settle();
      assertRefused(client, TOO_LARGE);
    },
  ),
];
