import assert from "node:assert/strict";
import { it } from "node:test";
import { createPublish5Offsets } from "../packet/publish-5.ts";
import { Aliases } from "./aliases.ts";

it("a topic is remembered beyond the bytes that named it, which the next read overwrites", () => {
  const aliases = new Aliases({ countMax: 2, bytesMax: 100 });
  const read = Buffer.from("plant/a");
  const named = { ...createPublish5Offsets(), names: read, topicEnd: read.length, topicAlias: 1 };
  assert.equal(aliases.resolve(named), undefined);
  read.fill("x");
  const left = { ...createPublish5Offsets(), names: read, topicAlias: 1 };
  assert.equal(aliases.resolve(left), undefined);
  assert.equal(Buffer.from(left.names).toString("utf8", left.topicStart, left.topicEnd), "plant/a");
});
