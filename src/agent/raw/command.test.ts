import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../core/limits.ts";
import { type Command, commandOf } from "./command.ts";

const ask = {
  v: 1,
  command: "raw.ask",
  agent: "gw1",
  id: "r1",
  select: ["t{device=p1}"],
  from: "2026-11-28T10:00:00Z",
  to: 1_795_867_200_000,
};

function read(value: object | string): Command {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return commandOf(Buffer.from(text), "gw1");
}

function refusal(changes: object): string {
  const command = read({ ...ask, ...changes });
  assert.ok(command.kind === "refused", JSON.stringify(command));
  return command.reason;
}

test("a request is read with its times, as text or milliseconds, and what is left out", () => {
  const { select, id } = ask;
  const from = Date.UTC(2026, 10, 28, 10);
  const wanted = { id, select, from, to: ask.to, priority: "normal" };
  assert.deepEqual(read(ask), { kind: "ask", ask: wanted, expires: undefined });
  const more = read({ ...ask, select: "*", priority: "high", expires: "2026-11-29" });
  const expires = Date.UTC(2026, 10, 29);
  assert.deepEqual(more, {
    kind: "ask",
    ask: { ...wanted, select: ["*"], priority: "high" },
    expires,
  });
  const cancel = { v: 1, command: "raw.cancel", agent: "gw1", id: "r1" };
  assert.deepEqual(read(cancel), { kind: "cancel", id: "r1" });
  assert.deepEqual(read({ ...ask, agent: "gw2", v: 7 }), { kind: "elsewhere" });
});

test("what is for us and cannot be done says why, and names its request where it has one", () => {
  assert.match(refusal({ v: 2 }), /^v is 2: this agent knows version 1/);
  assert.match(refusal({ command: "raw.burn" }), /"raw\.burn" is no command: raw\.ask/);
  assert.match(refusal({ priority: "urgent" }), /^priority is "urgent", not one of high, normal/);
  assert.match(refusal({ from: "-2h" }), /^from is "-2h", not a time such as/);
  assert.match(refusal({ to: "now" }), /^to is "now", not a time/);
  assert.match(refusal({ to: undefined }), /^to is missing$/);
  assert.equal(refusal({ id: undefined }), "id is missing");
  assert.match(refusal({ select: 7 }), /^select is 7, not a selector/);
  assert.match(refusal({ expire: 7 }), /^expire is not understood here/);
  const refused = read({ ...ask, from: "yesterday" });
  assert.ok(refused.kind === "refused");
  const { id, select, to } = ask;
  assert.deepEqual(refused.ask, { id, select, from: 0, to, priority: "normal" });
  const nameless = read({ ...ask, id: "a/b" });
  assert.ok(nameless.kind === "refused" && nameless.ask === undefined);
  const cancel = read({ v: 1, command: "raw.cancel", agent: "gw1", id: "r1", now: true });
  assert.ok(cancel.kind === "refused" && cancel.ask === undefined);
});

test("whatever else is in a record is told from commands", () => {
  const reasons = ["", "{", "[1]", "null", '"raw.ask"', "{}", '{"agent":7}'].map((value) => {
    const command = read(value);
    assert.ok(command.kind === "unreadable", value);
    return command.reason;
  });
  assert.deepEqual(new Set(reasons), new Set(["it is no JSON object", "it names no agent"]));
  assert.equal(commandOf(undefined, "gw1").kind, "unreadable");
  assert.equal(commandOf(Buffer.from([0xff, 0x7b]), "gw1").kind, "unreadable");
  const long = read({ ...ask, select: ["x".repeat(limits.commandBytesMax)] });
  assert.ok(long.kind === "unreadable" && long.reason.endsWith("more than 16384"));
});
