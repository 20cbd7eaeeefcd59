/** MQTT 5 properties as such: their shapes, where they may stand, how often. */

import assert from "node:assert/strict";
import {
  byte,
  connectBytes,
  frame,
  illFormed,
  long,
  properties,
  text,
  variable,
  word,
} from "../bytes.ts";
import { type Case, claim } from "../case.ts";
import { type Site, assertEachRefused, assertNotConnected } from "../site.ts";

const MALFORMED = 0x81;
const PROTOCOL_ERROR = 0x82;

/** Each CONNECT with these properties, and perhaps a will with those, is refused. */
async function refusesConnects(
  site: Site,
  connects: readonly { readonly of?: Uint8Array; readonly will?: Uint8Array }[],
  ...reasons: readonly number[]
): Promise<void> {
  for (const { of, will } of connects) {
    const client = site.open();
    await client.connect(
      connectBytes(5, {
        flags: will === undefined ? 0x02 : 0x06,
        properties: of === undefined ? [] : [of],
        payload: [
          text("x"),
          ...(will === undefined ? [] : [properties(will), text("t"), text("m")]),
        ],
      }),
    );
    assertNotConnected(client, ...reasons);
  }
}

function publish(...props: readonly Uint8Array[]): Buffer {
  return frame(0x30, text("a"), properties(...props), byte(0x78));
}

const twice = (property: Uint8Array): Buffer => Buffer.concat([property, property]);
const id = (number: number, value: Uint8Array): Buffer => Buffer.concat([byte(number), value]);

const userProperty = id(0x26, Buffer.concat([text("name"), text("value")]));

export const propertyCases: readonly Case[] = [
  claim(
    { v5: "1.5.5-1" },
    "a variable byte integer that is longer than it needs to be is malformed",
    (site) =>
      assertEachRefused(
        site,
        [
          frame(0x30, text("a"), byte(0x80, 0x00), byte(0x78)),
          frame(0x82, word(1), properties(byte(0x0b, 0x81, 0x00)), text("a"), byte(0)),
        ],
        MALFORMED,
      ),
  ),
  claim(
    { v5: "1.5.7-1" },
    "a user property whose name or value is not UTF-8 is malformed",
    (site) =>
      assertEachRefused(
        site,
        [...illFormed, "a\0b"].flatMap((bad) => [
          publish(id(0x26, Buffer.concat([text(bad), text("v")]))),
          publish(id(0x26, Buffer.concat([text("n"), text(bad)]))),
        ]),
        MALFORMED,
      ),
  ),
  claim(
    { v5: "2.2.2-1" },
    "a packet without properties has a property length of zero, coming and going",
    async (site) => {
      const client = await site.connect();
      await client.exchange(frame(0x82, word(9), byte(0), text("a"), byte(0)));
      client.send(frame(0x82, word(10), byte(0), text("a"), byte(0)));
      await site.settle();
      assert.deepEqual(client.takeBytes(), frame(0x90, word(10), byte(0), byte(0)));
      client.send(frame(0xa2, word(11), byte(0), text("a")));
      await site.settle();
      assert.deepEqual(client.takeBytes(), frame(0xb0, word(11), byte(0), byte(0)));
      await assertEachRefused(site, [frame(0x30, text("a"))], MALFORMED);
    },
  ),
  claim(
    { v5: "§2.2.2.2" },
    "a property that does not exist, or is not of this packet, is refused",
    (site) =>
      assertEachRefused(
        site,
        [
          publish(id(0x7f, byte(0))),
          publish(id(0x00, byte(0))),
          publish(id(0x11, long(1))),
          publish(id(0x1f, text("reason"))),
          publish(id(0x27, long(1))),
          frame(0x82, word(1), properties(id(0x01, byte(1))), text("a"), byte(0)),
          frame(0xa2, word(1), properties(byte(0x0b, 1)), text("a")),
          frame(0xe0, byte(0), properties(id(0x21, word(1)))),
          frame(0x40, word(1), byte(0), properties(id(0x02, long(1)))),
        ],
        MALFORMED,
        PROTOCOL_ERROR,
      ),
  ),
  claim(
    { v5: "§2.2.2" },
    "properties longer than their packet, or cut off, are malformed",
    (site) =>
      assertEachRefused(
        site,
        [
          frame(0x30, text("a"), variable(9), byte(0x01)),
          frame(0x30, text("a"), variable(3), byte(0x02, 0, 0)),
          frame(0x30, text("a"), variable(4), byte(0x03, 0, 9, 0x61)),
          frame(0x30, text("a"), byte(0xff, 0xff, 0xff, 0xff)),
          frame(0x82, word(1), byte(0x80)),
        ],
        MALFORMED,
      ),
  ),
  claim({ v5: "§3.3.2.3" }, "a property of a PUBLISH that stands twice is refused", (site) =>
    assertEachRefused(
      site,
      [
        publish(twice(id(0x01, byte(1)))),
        publish(twice(id(0x02, long(10)))),
        publish(twice(id(0x03, text("json")))),
        publish(twice(id(0x08, text("answers")))),
        publish(twice(id(0x09, text("7")))),
        publish(twice(id(0x23, word(1)))),
      ],
      PROTOCOL_ERROR,
    ),
  ),
  claim({ v5: "§3.3.2.3.7" }, "user properties may stand as often as one likes", async (site) => {
    const client = await site.connect();
    await client.exchange(publish(userProperty, userProperty, userProperty));
    assert.equal(client.isClosed, false);
  }),
  claim({ v5: "§3.3.2.3.2" }, "a payload format that is neither 0 nor 1 is refused", (site) =>
    assertEachRefused(site, [publish(id(0x01, byte(2)))], PROTOCOL_ERROR, MALFORMED),
  ),
  claim({ v5: "§3.1.2.11" }, "a property of a CONNECT that stands twice is refused", (site) =>
    refusesConnects(
      site,
      [
        id(0x11, long(1)),
        id(0x21, word(1)),
        id(0x27, long(1_000)),
        id(0x22, word(1)),
        id(0x19, byte(1)),
        id(0x17, byte(1)),
      ].map((property) => ({ of: twice(property) })),
      PROTOCOL_ERROR,
    ),
  ),
  claim(
    { v5: "§3.1.2.11" },
    "a Receive Maximum or Maximum Packet Size of 0, and a flag beyond 1, are refused",
    (site) =>
      refusesConnects(
        site,
        [id(0x21, word(0)), id(0x27, long(0)), id(0x19, byte(2)), id(0x17, byte(2))].map((of) => ({
          of,
        })),
        PROTOCOL_ERROR,
      ),
  ),
  claim({ v5: "§3.1.2.11" }, "a property in a CONNECT that is not of it is refused", (site) =>
    refusesConnects(
      site,
      [id(0x01, byte(1)), id(0x23, word(1)), id(0x7f, byte(0))].map((of) => ({ of })),
      PROTOCOL_ERROR,
      MALFORMED,
    ),
  ),
  claim(
    { v5: "§3.1.3.2" },
    "a property of a will that stands twice, or is not of it, is refused",
    (site) =>
      refusesConnects(
        site,
        [
          twice(id(0x18, long(1))),
          twice(id(0x01, byte(1))),
          twice(id(0x02, long(1))),
          twice(id(0x03, text("json"))),
          twice(id(0x08, text("answers"))),
          twice(id(0x09, text("7"))),
          id(0x23, word(1)),
        ].map((will) => ({ will })),
        PROTOCOL_ERROR,
        MALFORMED,
      ),
  ),
  claim(
    { v5: "§3.8.2.1.2" },
    "a subscription identifier of 0, or two of them, are refused",
    (site) =>
      assertEachRefused(
        site,
        [byte(0x0b, 0), byte(0x0b, 1, 0x0b, 1)].map((of) =>
          frame(0x82, word(1), properties(of), text("a"), byte(0)),
        ),
        PROTOCOL_ERROR,
      ),
  ),
  claim(
    { v5: "§3.4.2.1" },
    "an acknowledgement may end behind its identifier, its reason, or its properties",
    async (site) => {
      const client = await site.connect();
      for (const head of [0x40, 0x50, 0x62, 0x70]) {
        client.send(
          frame(head, word(77)),
          frame(head, word(77), byte(0)),
          frame(head, word(77), byte(0x92), properties()),
          frame(head, word(77), byte(0), properties(id(0x1f, text("why")), userProperty)),
        );
        await site.settle();
        assert.equal(client.isClosed, false, `0x${head.toString(16)}`);
      }
    },
  ),
];
