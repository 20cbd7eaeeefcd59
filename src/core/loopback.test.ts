import assert from "node:assert/strict";
import { test } from "node:test";
import { isLoopback } from "./loopback.ts";

const hosts: readonly (readonly [host: string, loopback: boolean])[] = [
  ["localhost", true],
  ["LocalHost", true],
  ["127.0.0.1", true],
  ["127.8.9.1", true],
  ["::1", true],
  ["[::1]", true],
  ["::ffff:127.0.0.1", true],
  ["::FFFF:127.0.0.1", true],
  ["", false],
  ["0.0.0.0", false],
  ["::", false],
  ["[::2]", false],
  ["192.168.1.4", false],
  ["::ffff:10.0.0.1", false],
  ["127.0.0.1.example.org", false],
  ["127.example.org", false],
  ["localhost.example.org", false],
  ["gateway.local", false],
];

for (const [host, expected] of hosts) {
  test(`${JSON.stringify(host)} is ${expected ? "this machine's own" : "reached by others"}`, () => {
    assert.equal(isLoopback(host), expected);
  });
}
