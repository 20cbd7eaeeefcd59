/** What a node does with a machine that fails, or has something left over, which ours seldom do. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { flowLimits } from "../../../src/core/flow-limits.ts";
import { flowOf, startRig } from "../../test/rig.ts";
import { type Machine, nothing, Refused, type Started } from "../operators/machine.ts";
import type { ContextStore, Message, NodeConfig, Red, RedNode } from "../red.ts";
import { registerMachine } from "./machine-node.ts";

const flow = flowOf({ type: "weir-trial" }, 1);

/** Passes messages on; what differs is given. */
function machineOf(changed: Partial<Machine> = {}): Machine {
  return {
    take: (message) => [[message]],
    wake: () => nothing,
    wakeAt: () => Number.POSITIVE_INFINITY,
    keep: () => undefined,
    counts: () => ({}),
    ...changed,
  };
}

function registering(start: (kept: string | undefined) => Started): (red: Red) => void {
  return (red) => {
    registerMachine(red, { type: "weir-trial", migrations: [], start: (_, kept) => start(kept) });
  };
}

function errorOf(caught: Message): string {
  return (caught["error"] as { message: string }).message;
}

test("instances of a subflow keep what each knows over a deploy, also where no store does", async (t) => {
  const starts: (string | undefined)[] = [];
  const register = registering((kept) => {
    starts.push(kept);
    const name = kept ?? `node ${starts.length}`;
    return { machine: machineOf({ keep: () => name }), leftover: nothing };
  });
  const instance = { type: "subflow:sub1", z: "tab1", x: 0, y: 0, wires: [] };
  const twice = [
    ...flow,
    { id: "sub1", type: "subflow", in: [], out: [] },
    { id: "inner", type: "weir-trial", z: "sub1", x: 0, y: 0, wires: [] },
    { ...instance, id: "a" },
    { ...instance, id: "b" },
  ];
  const rig = await startRig(t, register, twice);
  for (let at = 0; at < 200 && starts.length < 3; at++) await wait(10);
  await rig.deploy(twice);
  for (let at = 0; at < 200 && starts.length < 6; at++) await wait(10);
  assert.deepEqual(starts.slice(0, 3), [undefined, undefined, undefined]);
  assert.deepEqual(new Set(starts.slice(3)), new Set(["node 1", "node 2", "node 3"]));
});

test("a message that is refused goes to Catch nodes, and the node goes on", async (t) => {
  const take = (message: Message): readonly (readonly Message[])[] => {
    if (message["payload"] === "bad") throw new Refused("it is bad");
    return [[message]];
  };
  const register = registering(() => ({ machine: machineOf({ take }), leftover: nothing }));
  const rig = await startRig(t, register, flow);
  rig.send({ payload: "bad" });
  assert.match(errorOf(await rig.next("caught")), /it is bad/);
  rig.send({ payload: "good" });
  assert.equal((await rig.next("out0"))["payload"], "good");
});

test("an error of ours stops the node, says so, and keeps nothing of what it may have spoilt", async (t) => {
  let isKept = false;
  const machine = machineOf({
    take: () => {
      throw new TypeError("it is broken");
    },
    keep: () => {
      isKept = true;
      return "spoilt";
    },
  });
  const rig = await startRig(
    t,
    registering(() => ({ machine, leftover: nothing })),
    flow,
  );
  rig.send({ payload: 1 });
  assert.match(errorOf(await rig.next("caught")), /it is broken/);
  rig.send({ payload: 2 });
  assert.match(errorOf(await rig.next("caught")), /the node has stopped, deploy it again: it is/);
  await rig.stop();
  assert.equal(isKept, false);
});

test("an error in what it keeps stops the node, and Node-RED goes on", async (t) => {
  const keep = (): string => {
    throw new Error("it cannot be told");
  };
  const register = registering(() => {
    // From here on, so that the timer of the machine is among them.
    t.mock.timers.enable({ apis: ["setTimeout"] });
    return { machine: machineOf({ keep }), leftover: nothing };
  });
  const rig = await startRig(t, register, flow);
  t.mock.timers.tick(flowLimits.keepMs);
  t.mock.timers.reset();
  // The store is waited for, so the failure comes with a promise.
  await new Promise((resolve) => setImmediate(resolve));
  rig.send({ payload: 1 });
  assert.match(
    errorOf(await rig.next("caught")),
    /has stopped, deploy it again: it cannot be told/,
  );
  await rig.stop();
});

test("what is left over is sent once, and again only where the node closed before it was", async (t) => {
  let given: (string | undefined)[] = [];
  const register = registering((kept) => {
    given.push(kept);
    const machine = machineOf(given.length === 1 ? { keep: () => "open" } : {});
    const leftover = kept === "open" ? [[{ payload: "left" }]] : nothing;
    return { machine, leftover };
  });
  const rig = await startRig(t, register, flow);
  await rig.deploy(flow);
  // Before it is sent.
  await rig.deploy(flow);
  assert.deepEqual(given, [undefined, "open", "open"]);
  assert.equal((await rig.next("out0"))["payload"], "left");
  given = [...given, "sent"];
  await rig.deploy(flow);
  await wait(5 * flowLimits.leftoverMs);
  assert.equal(given.at(-1), undefined);
  assert.deepEqual(rig.rest("out0"), []);
});

test("a message that is on its way when the node closes is taken by its next life, before others", async (t) => {
  const kept: unknown[] = [];
  const register = registering(() => {
    const taken: unknown[] = [];
    const take = (message: Message): readonly (readonly Message[])[] => {
      taken.push(message["payload"]);
      return [[message]];
    };
    const keep = (): string => {
      kept.push([...taken]);
      return "kept";
    };
    return { machine: machineOf({ take, keep }), leftover: nothing };
  });
  const rig = await startRig(t, register, flow);
  rig.send({ payload: 1 });
  assert.equal((await rig.next("out0"))["payload"], 1);
  rig.sendAtClose({ payload: 2 });
  await rig.deploy(flow);
  rig.send({ payload: 3 });
  for (const payload of [2, 3]) assert.equal((await rig.next("out0"))["payload"], payload);
  await rig.stop();
  assert.deepEqual(kept, [[1], [2, 3]]);
});

/** A store that answers each life of a node when the test says so: one function for each. */
function slowly(register: (red: Red) => void): {
  readonly register: (red: Red) => void;
  readonly answers: (() => void)[];
} {
  const answers: (() => void)[] = [];
  const store: ContextStore = {
    get: (_key, _store, callback) => void answers.push(() => callback(undefined, undefined)),
    set: (_key, _value, _store, callback) => callback(),
  };
  const createNode = (red: Red, node: RedNode, config: NodeConfig): void => {
    red.nodes.createNode(node, config);
    node.context = () => store;
  };
  return {
    answers,
    register: (red) =>
      register({
        ...red,
        nodes: { ...red.nodes, createNode: (node, config) => createNode(red, node, config) },
      }),
  };
}

test("messages that wait for a slow store are not lost where deploys come before it answers", async (t) => {
  const machine = machineOf();
  const { register, answers } = slowly(registering(() => ({ machine, leftover: nothing })));
  const rig = await startRig(t, register, flow);
  rig.send({ payload: 1 });
  await rig.deploy(flow);
  answers[0]?.();
  await wait(2 * flowLimits.leftoverMs);
  rig.send({ payload: 2 });
  await rig.deploy(flow);
  answers[2]?.();
  // It has them now, and sends them a little later.
  await new Promise((resolve) => setImmediate(resolve));
  await rig.deploy(flow);
  answers[3]?.();
  rig.send({ payload: 3 });
  for (const payload of [1, 2, 3]) assert.equal((await rig.next("out0"))["payload"], payload);
});

test("all that waits for a slow store is bounded, also over deploys, and told where the node goes", async (t) => {
  const machine = machineOf();
  const { register, answers } = slowly(registering(() => ({ machine, leftover: nothing })));
  const rig = await startRig(t, register, flow);
  for (let at = 1; at < flowLimits.heldMessagesMax; at++) rig.send({ payload: at });
  await rig.deploy(flow);
  rig.send({ payload: "the last" });
  rig.send({ payload: "one more" });
  assert.match(errorOf(await rig.next("caught")), /has not answered yet: too many messages wait/);
  await rig.deploy(flow.filter(({ id }) => id !== "n"));
  assert.deepEqual(rig.errors("warn"), [
    `the node is gone, and what waited is lost: ${flowLimits.heldMessagesMax} messages`,
  ]);
  await rig.deploy(flow);
  answers[2]?.();
  rig.send({ payload: "anew" });
  assert.equal((await rig.next("out0"))["payload"], "anew");
});
