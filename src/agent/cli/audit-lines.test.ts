import assert from "node:assert/strict";
import { it } from "node:test";
import type { AuditEvent } from "../ingest/mqtt/access/audit.ts";
import { AuditLines } from "./audit-lines.ts";

function event(number: number, changes: Partial<AuditEvent> = {}): AuditEvent {
  const texts = { address: "10.0.0.1", user: "pump", topic: "" };
  return { number, kind: "login_failed", ...texts, count: 1, firstAt: 0, lastAt: 0, ...changes };
}

function lines(): { readonly audit: AuditLines; readonly said: string[] } {
  const said: string[] = [];
  const audit = new AuditLines((name, facts) => said.push(`${name} ${JSON.stringify(facts)}`));
  return { audit, said };
}

it("an event is said at once, and again with its final count", () => {
  const { audit, said } = lines();
  audit.look([event(1)], 500);
  assert.deepEqual(said.splice(0), [
    'audit {"kind":"login_failed","address":"10.0.0.1","user":"pump","count":1}',
  ]);
  assert.equal(audit.after, 0);
  audit.look([event(1, { count: 40 })], 5_000);
  assert.deepEqual(said, []);
  audit.look([event(1, { count: 70 })], 10_000);
  assert.match(said.splice(0).join(), /"count":70/);
  assert.equal(audit.after, 1);
  audit.look([], 20_000);
  assert.deepEqual(said, []);
});

it("one that did not grow is said once", () => {
  const { audit, said } = lines();
  for (const now of [0, 5_000, 10_000, 20_000]) audit.look([event(1)], now);
  assert.equal(said.length, 1);
});

it("many are a few lines and a count", () => {
  const { audit, said } = lines();
  audit.look(
    Array.from({ length: 100 }, (_, index) => event(index + 1)),
    500,
  );
  assert.equal(said.length, 17);
  assert.equal(said.at(-1), 'audit {"more":84}');
});

it("one that left the ring is forgotten", () => {
  const { audit, said } = lines();
  audit.look([event(1)], 500);
  audit.look([event(300)], 600);
  assert.equal(audit.after, 299);
  assert.equal(said.length, 2);
});
