import assert from "node:assert/strict";
import { it } from "node:test";
import type { BrokerLink } from "./broker-owner.ts";
import { BrokerFeed } from "./broker-feed.ts";

function feedTo(pieces: string[]): BrokerFeed {
  const link: BrokerLink = {
    unreadBytes: 0,
    push: (packet) => {
      pieces.push(Buffer.from(packet).toString());
    },
    finish: () => {
      pieces.push("end");
    },
    cancelWill: () => undefined,
  };
  return new BrokerFeed(link);
}

it("what is added between two flushes is one piece, in order, wherever it lies", () => {
  const pieces: string[] = [];
  const feed = feedTo(pieces);
  const read = Buffer.from("abcdef");
  feed.add(read, 0, 2);
  feed.add(read, 2, 3);
  feed.add(read, 5, 6);
  feed.add(Buffer.from("own"), 0, 3);
  assert.equal(feed.unreadBytes, 7);
  feed.flush();
  feed.flush();
  read.fill("x");
  feed.add(read, 0, 1);
  feed.push(Buffer.from("now"));
  feed.finish();
  assert.deepEqual(pieces, ["abcfown", "x", "now", "end"]);
});
