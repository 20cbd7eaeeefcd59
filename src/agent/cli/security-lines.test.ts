import assert from "node:assert/strict";
import { it } from "node:test";
import type { SecurityEvent } from "../ingest/mqtt/access/security-events.ts";
import { SecurityLines } from "./security-lines.ts";

function event(number: number, changes: Partial<SecurityEvent> = {}): SecurityEvent {
  const texts = { address: "10.0.0.1", user: "pump", topic: "" };
  return { number, kind: "login_failed", ...texts, count: 1, firstAt: 0, lastAt: 0, ...changes };
}

function lines(): { readonly security: SecurityLines; readonly said: string[] } {
  const said: string[] = [];
  const security = new SecurityLines((name, facts) =>
    said.push(`${name} ${JSON.stringify(facts)}`),
  );
  return { security, said };
}

it("an event is said at once, and again with its final count", () => {
  const { security, said } = lines();
  security.look([event(1)], 500);
  assert.deepEqual(said.splice(0), [
    'audit {"kind":"login_failed","address":"10.0.0.1","user":"pump","count":1}',
  ]);
  assert.equal(security.after, 0);
  security.look([event(1, { count: 40 })], 5_000);
  assert.deepEqual(said, []);
  security.look([event(1, { count: 70 })], 10_000);
  assert.match(said.splice(0).join(), /"count":70/);
  assert.equal(security.after, 1);
  security.look([], 20_000);
  assert.deepEqual(said, []);
});

it("one that did not grow is said once", () => {
  const { security, said } = lines();
  for (const now of [0, 5_000, 10_000, 20_000]) security.look([event(1)], now);
  assert.equal(said.length, 1);
});

it("many are a few lines and a count", () => {
  const { security, said } = lines();
  security.look(
    Array.from({ length: 100 }, (_, index) => event(index + 1)),
    500,
  );
  assert.equal(said.length, 17);
  assert.equal(said.at(-1), 'audit {"more":84}');
});

it("one that left the ring is forgotten", () => {
  const { security, said } = lines();
  security.look([event(1)], 500);
  security.look([event(300)], 600);
  assert.equal(security.after, 299);
  assert.equal(said.length, 2);
});
