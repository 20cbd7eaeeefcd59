/** What every node with a machine does around it: its store, its start, its end. */

import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { flowLimits } from "../../../src/core/flow-limits.ts";
import { flowOf, startRig } from "../../test/rig.ts";
import { type Machine, Refused } from "../operators/machine.ts";
import type { ContextStore, Done, Message, NodeConfig, Red, RedNode, Send } from "../red.ts";
import { registerMachine } from "./machine-node.ts";

/** Counts messages; keeps the count, as text of this length at least. */
function countingFrom(kept: string | undefined, length: number): Machine {
  let count = Number(kept ?? 0);
  let hasChanged = false;
  let wakeAt = Number.POSITIVE_INFINITY;
  return {
    take: (message) => {
      if (message["payload"] === "wake") wakeAt = 1_000;
      if (message["payload"] === "bad") throw new Refused("that one is bad");
      count += 1;
      hasChanged = true;
      return [[{ payload: count }]];
    },
    wake: () => {
      throw new Error("it woke");
    },
    wakeAt: () => wakeAt,
    keep: () => {
      if (!hasChanged) return undefined;
      hasChanged = false;
      return String(count).padStart(length, " ");
    },
    counts: () => ({ keys: count }),
  };
}

function registering(length: number): (red: Red) => void {
  return (red) =>
    registerMachine(red, {
      type: "weir-counting",
      migrations: [],
      start: (_settings, kept) => {
        if (kept === "broken") throw new TypeError("no such thing");
        return { machine: countingFrom(kept, length), leftover: [] };
      },
    });
}

const flow = flowOf({ type: "weir-counting" }, 1);

test("more than may be kept is not, which is said once", async (t) => {
  const rig = await startRig(t, registering(flowLimits.stateLengthMax + 1), flow);
  for (let i = 0; i < 2; i++) {
    rig.send({ payload: "x" });
    await rig.next("out0");
    await rig.deploy(flow);
  }
  assert.equal(rig.warnings.length, 2, "once for each start of the node");
  assert.match(rig.warnings[0] ?? "", /it is not kept, a restart begins anew; use fewer keys/);
  rig.send({ payload: "x" });
  assert.equal((await rig.next("out0"))["payload"], 1);
});

test("as much as may be kept is", async (t) => {
  const rig = await startRig(t, registering(flowLimits.stateLengthMax), flow);
  rig.send({ payload: "x" });
  await rig.next("out0");
  await rig.deploy(flow);
  rig.send({ payload: "x" });
  assert.equal((await rig.next("out0"))["payload"], 2);
});

test("two deploys without a message in between lose nothing", async (t) => {
  const rig = await startRig(t, registering(0), flow);
  rig.send({ payload: "x" });
  await rig.next("out0");
  for (let i = 0; i < 2; i++) await rig.deploy(flow);
  rig.send({ payload: "x" });
  assert.equal((await rig.next("out0"))["payload"], 2);
});

test("a node that was deleted is forgotten", async (t) => {
  const rig = await startRig(t, registering(0), flow);
  rig.send({ payload: "x" });
  await rig.next("out0");
  await rig.deploy(flow.filter(({ id }) => id === "tab1" || id === "caught"));
  await rig.deploy(flow);
  rig.send({ payload: "x" });
  assert.equal((await rig.next("out0"))["payload"], 1);
});

test("what is refused is an error of that message only", async (t) => {
  const rig = await startRig(t, registering(0), flow);
  for (const payload of ["x", "bad", "x"]) rig.send({ payload });
  assert.match(String(((await rig.next("caught"))["error"] as Error).message), /that one is bad/);
  await rig.next("out0");
  assert.equal((await rig.next("out0"))["payload"], 2);
});

test("messages wait for a slow store, as many as may, and then come in order", async () => {
  const { node, loaded } = startWithSlowStore();
  const seen: unknown[] = [];
  const errors: (Error | undefined)[] = [];
  for (let i = 0; i <= flowLimits.heldMessagesMax; i++) {
    node.input(
      { payload: i },
      (outputs) => void seen.push(outputs[0]?.[0]?.["payload"]),
      (error) => void errors.push(error),
    );
  }
  assert.equal(errors.length, 1);
  assert.match(errors[0]?.message ?? "", /too many messages wait/);
  await loaded("5");
  assert.deepEqual(
    seen,
    Array.from({ length: flowLimits.heldMessagesMax }, (_, i) => i + 6),
  );
  assert.equal(errors.filter((error) => error === undefined).length, flowLimits.heldMessagesMax);
  await node.close();
});

test("a node that closes before its store answered fails what waited, and never starts", async () => {
  const { node, loaded, saved } = startWithSlowStore();
  const errors: (Error | undefined)[] = [];
  const send = (): void => assert.fail("it never starts");
  node.input({ payload: 1 }, send, (error) => void errors.push(error));
  await node.close();
  await loaded("5");
  assert.equal(errors.length, 1);
  assert.match(errors[0]?.message ?? "", /closed before it had started/);
  assert.deepEqual(saved, []);
});

test("what was kept and cannot be used is said, and the node begins anew", async () => {
  const { node, loaded, warnings } = startWithSlowStore();
  await loaded("broken");
  assert.match(warnings.join(), /cannot be used, it begins anew: no such thing/);
  const counts: unknown[] = [];
  const nothing = (): void => {};
  node.input({ payload: 1 }, (outputs) => void counts.push(outputs[0]?.[0]?.["payload"]), nothing);
  assert.deepEqual(counts, [1]);
  await node.close();
});

test("a store that throws is said once, and the node goes on", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { node, loaded, warnings, breakStore } = startWithSlowStore();
  await loaded(undefined);
  breakStore();
  const nothing = (): void => {};
  for (let i = 0; i < 3; i++) {
    node.input({ payload: 1 }, nothing, nothing);
    t.mock.timers.tick(flowLimits.keepMs);
    await new Promise(setImmediate);
  }
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0] ?? "",
    /the context store by default failed: disk full; see contextStorage/,
  );
  await node.close();
});

test("an error of the machine, woken by a timer, stops the node and nothing else", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 0 });
  const { node, loaded, errors } = startWithSlowStore();
  await loaded(undefined);
  const results: (Error | undefined)[] = [];
  const nothing = (): void => {};
  node.input({ payload: "wake" }, nothing, nothing);
  t.mock.timers.tick(1_000);
  assert.match(errors.join(), /the node has stopped, deploy it again: it woke/);
  node.input({ payload: 1 }, nothing, (error) => void results.push(error));
  assert.match(results[0]?.message ?? "", /the node has stopped/);
  await node.close();
});

test("every ten seconds what changed is kept", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { node, loaded, saved } = startWithSlowStore();
  await loaded(undefined);
  const send = (): void =>
    node.input(
      { payload: 1 },
      () => {},
      () => {},
    );
  send();
  send();
  t.mock.timers.tick(flowLimits.keepMs - 1);
  assert.deepEqual(saved, []);
  t.mock.timers.tick(1);
  t.mock.timers.tick(10 * flowLimits.keepMs);
  await new Promise(setImmediate);
  assert.deepEqual(saved, ["2"]);
  await node.close();
});

/** A node outside of Node-RED, whose store answers when `loaded` is called. */
function startWithSlowStore(): {
  node: { input: (message: Message, send: Send, done: Done) => void; close: () => Promise<void> };
  loaded: (value: unknown) => Promise<void>;
  saved: unknown[];
  warnings: readonly string[];
  errors: readonly unknown[];
  breakStore: () => void;
} {
  const events = new EventEmitter();
  const saved: unknown[] = [];
  const warnings: string[] = [];
  const errors: unknown[] = [];
  let isBroken = false;
  let answer: (error: undefined, value: unknown) => void = () => {};
  const store: ContextStore = {
    get: (_key, _store, callback) => void (answer = callback),
    set: (_key, value, _store, callback) => {
      if (isBroken) throw new Error("disk full");
      saved.push(value);
      callback();
    },
  };
  const node: RedNode = {
    id: "n",
    type: "weir-counting",
    on: (event: string, listener: (...given: never[]) => void) => {
      events.on(event, (...given: unknown[]) => void Reflect.apply(listener, node, given));
    },
    send: () => {},
    status: () => {},
    warn: (text) => void warnings.push(text),
    error: (text) => void errors.push(text),
    context: () => store,
  };
  let construct: ((this: RedNode, config: NodeConfig) => void) | undefined;
  const red: Red = {
    nodes: {
      createNode: () => {},
      registerType: (_type, constructor) => void (construct = constructor),
      getNode: () => undefined,
    },
    util: { getMessageProperty: (message, path) => message[path] },
    _: (key) => key,
  };
  registering(0)(red);
  construct?.call(node, { id: "n" });
  return {
    node: {
      input: (message, send, done) => void events.emit("input", message, send, done),
      close: () => new Promise((done) => void events.emit("close", false, done)),
    },
    loaded: async (value) => {
      answer(undefined, value);
      await new Promise(setImmediate);
    },
    saved,
    warnings,
    errors,
    breakStore: () => void (isBroken = true),
  };
}
