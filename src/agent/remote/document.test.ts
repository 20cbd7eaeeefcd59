import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../core/limits.ts";
import type { RemoteKey } from "../config/remote-config.ts";
import {
  isFor,
  newKey,
  type Opened,
  openDocument,
  privateKeyIn,
  publicTextOf,
  signDocument,
  type Unsigned,
} from "./document.ts";

const { pem, publicKey } = newKey();
const keys: readonly RemoteKey[] = [
  { name: "other", raw: new Uint8Array(Buffer.from(newKey().publicKey, "base64")) },
  { name: "ops", raw: new Uint8Array(Buffer.from(publicKey, "base64")) },
];
const unsigned: Unsigned = {
  agent: "gw*",
  version: 7,
  issued: "2026-11-29T11:00:00Z",
  expires: "2026-12-29T11:00:00Z",
  body: "pipelines: []\n# ä and a last line without a break",
};

function signed(changes: Partial<Unsigned> = {}): Buffer {
  const key = privateKeyIn(Buffer.from(pem));
  assert.ok(key);
  return signDocument({ ...unsigned, ...changes }, key);
}

function refusalOf(opened: Opened): string {
  return opened.kind === "refused" ? `${opened.code}: ${opened.reason}` : opened.kind;
}

test("what was signed comes back as it was, under the name of its key", () => {
  const bytes = signed();
  const opened = openDocument(bytes, keys);
  assert.ok(opened.kind === "document");
  const { digest, text, ...document } = opened.document;
  assert.deepEqual(document, {
    agent: "gw*",
    version: 7,
    issued: Date.UTC(2026, 10, 29, 11),
    expires: Date.UTC(2026, 11, 29, 11),
    body: unsigned.body,
    mayDelete: false,
    key: "ops",
  });
  assert.deepEqual(Buffer.from(text), bytes, "it can be verified again");
  assert.match(digest, /^[0-9a-f]{16}$/);
});

test("whether it may delete is signed with it; where it does not say so, it may not", () => {
  const mayOf = (bytes: Uint8Array): boolean | undefined => {
    const opened = openDocument(bytes, keys);
    return opened.kind === "document" ? opened.document.mayDelete : undefined;
  };
  const bytes = signed({ mayDelete: true });
  assert.equal(mayOf(bytes), true);
  assert.equal(mayOf(signed({ mayDelete: false })), false);
  assert.ok(!signed().includes("mayDelete"), "as it was before there was the field");
  const flipped = Buffer.from(bytes.toString().replace('"mayDelete":true', '"mayDelete":false'));
  assert.match(refusalOf(openDocument(flipped, keys)), /^bad_signature/);
});

test("any changed byte is refused, and so is one more or less", () => {
  const bytes = signed();
  for (let at = 0; at < bytes.length; at++) {
    for (const bit of [1, 0x20, 0x80]) {
      const forged = Buffer.from(bytes);
      forged[at]! ^= bit;
      assert.equal(openDocument(forged, keys).kind, "refused", `byte ${at}, bit ${bit}`);
    }
  }
  assert.match(refusalOf(openDocument(bytes.subarray(0, -1), keys)), /^bad_signature/);
  assert.match(refusalOf(openDocument(Buffer.concat([bytes, bytes]), keys)), /^bad_signature/);
});

test("a signature is written in one way only", () => {
  const bytes = signed();
  const at = bytes.indexOf("==") - 1;
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const forged = Buffer.from(bytes);
  // Its lowest bits stand for nothing.
  forged[at] = letters.charCodeAt(letters.indexOf(String.fromCharCode(bytes[at]!)) + 1);
  assert.match(refusalOf(openDocument(forged, keys)), /^malformed: its signature is not base64 as/);
});

test("another's key, a text without a signature, and a long one are told apart", () => {
  assert.match(
    refusalOf(openDocument(signed(), keys.slice(0, 1))),
    /^unknown_key: it is signed by/,
  );
  assert.match(refusalOf(openDocument(Buffer.from("pipelines: []"), keys)), /^malformed/);
  assert.match(refusalOf(openDocument(new Uint8Array(), keys)), /^malformed/);
  const long = signed({ body: "#".repeat(limits.remoteDocumentBytesMax) });
  assert.match(refusalOf(openDocument(long, keys)), /^malformed: longer than/);
});

test("a signature of another use of the key is none", async () => {
  const { sign } = await import("node:crypto");
  const key = privateKeyIn(Buffer.from(pem));
  assert.ok(key);
  const bytes = signed();
  const end = bytes.indexOf(10);
  const plain = sign(undefined, bytes.subarray(end + 1), key).toString("base64");
  const first = bytes.toString("latin1", 0, end).replace(/\S+$/, plain);
  const forged = Buffer.concat([Buffer.from(`${first}\n`), bytes.subarray(end + 1)]);
  assert.match(refusalOf(openDocument(forged, keys)), /^bad_signature/);
});

test("what is signed and makes no sense is refused without an error", () => {
  for (const changes of [
    { version: 0 },
    { version: 1.5 },
    { version: Number.MAX_VALUE },
    { agent: "" },
    { issued: "yesterday" },
    { issued: "2026-11-29T11:00:00" },
    { expires: "never" },
  ]) {
    assert.match(refusalOf(openDocument(signed(changes), keys)), /^malformed: its second line/);
  }
});

test("it is for the agents that its glob takes", () => {
  assert.deepEqual(
    ["gw1", "gw", "xgw1"].map((agent) => isFor({ agent: "gw*" }, agent)),
    [true, true, false],
  );
});

test("a private key is read from PEM, and nothing else is", () => {
  const key = privateKeyIn(Buffer.from(pem));
  assert.ok(key);
  assert.equal(publicTextOf(key), publicKey);
  assert.equal(privateKeyIn(Buffer.from("no key")), undefined);
});
