/**
 * Flows in Node-RED's own runtime, by its test helper: our nodes, wired to nodes that only gather, and
 * Catch nodes where a flow has some. One at a time in a process, as the runtime is a singleton.
 */

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext } from "node:test";
import { flowLimits } from "../../src/core/flow-limits.ts";
import type { Message, Red, RedNode, Status } from "../src/red.ts";

/** What we use of node-red-node-test-helper, which has no types. */
type Helper = {
  readonly _redNodes: { stopFlows(): Promise<void> };
  readonly _context: {
    load(): Promise<void>;
    close(): Promise<void>;
    init(settings: object): void;
  };
  init(runtimePath: string, settings?: object): void;
  settings(settings: object): void;
  load(nodes: readonly ((red: Red) => unknown)[], flow: readonly object[]): Promise<void>;
  setFlows(flow: readonly object[], type: "full" | "flows" | "nodes"): Promise<void>;
  unload(): Promise<void>;
  log(): {
    readonly ERROR: number;
    readonly WARN: number;
    readonly INFO: number;
    readonly args: readonly (readonly [
      { readonly id?: string; readonly level: number; readonly msg: unknown },
    ])[];
  };
  getNode(id: string): RunningNode;
};

type RunningNode = EventEmitter & Pick<RedNode, "context"> & { receive(message: Message): void };

const require = createRequire(import.meta.url);
const helper: Helper = require("node-red-node-test-helper");
helper.init(require.resolve("node-red"));

export type FlowNode = {
  readonly id: string;
  readonly type: string;
  readonly [name: string]: unknown;
};

/** A tab, the node under test as "n" with its outputs wired to "out0" and so on, and a Catch node to "caught". */
export function flowOf(
  node: { readonly type: string; readonly [name: string]: unknown },
  outputs: number,
): readonly FlowNode[] {
  const ids = Array.from({ length: outputs }, (_, output) => `out${output}`);
  return [
    { id: "tab1", type: "tab" },
    { ...node, id: "n", z: "tab1", wires: ids.map((id) => [id]) },
    ...[...ids, "caught", "completed"].map((id) => ({ id, z: "tab1", type: "helper" })),
    { id: "n-catch", type: "catch", z: "tab1", scope: ["n"], wires: [["caught"]] },
    { id: "n-complete", type: "complete", z: "tab1", scope: ["n"], wires: [["completed"]] },
  ];
}

/** For a store of files; gone after all tests of the file. */
export function temporaryFolder(): string {
  return mkdtempSync(join(folders, "store-"));
}

const folders = mkdtempSync(join(tmpdir(), "weir-flows-"));
after(() => rmSync(folders, { recursive: true, force: true }));

export type Rig = {
  send(message: Message): void;
  /** It is on its way when the node closes, and comes turns later, of a process that is busy. */
  sendAtClose(message: Message): void;
  /** The next message at a gathering node, after those that were taken. */
  next(id: string): Promise<Message>;
  /** What came to it and was not taken. */
  rest(id: string): readonly Message[];
  /** All statuses that the node under test has shown. */
  readonly statuses: readonly Status[];
  readonly warnings: readonly string[];
  /** What a node, "n" if not otherwise, has written to the log, as errors if not otherwise, also while it was made. */
  errors(level?: "error" | "warn" | "info", id?: string): readonly string[];
  /** What the node under test has in the context store "file" now. */
  kept(): Promise<unknown>;
  /** Stops all nodes and starts them from this flow, as the Deploy button does. */
  deploy(flow: readonly FlowNode[]): Promise<void>;
  /** Ends the runtime; with a store of files what is kept is on disk then. */
  stop(): Promise<void>;
};

/** A message that does not come within this has not been sent. */
const waitMsMax = 10_000;

/**
 * `register`: our node. `filesIn`: a folder for a context store "file"; without it there is memory only.
 * It is stopped at the end of the test.
 */
export async function startRig(
  t: TestContext,
  register: (red: Red) => void,
  flow: readonly FlowNode[],
  { filesIn }: { readonly filesIn?: string } = {},
): Promise<Rig> {
  const contextStorage =
    filesIn === undefined
      ? {}
      : {
          default: { module: "memory" },
          file: { module: "localfilesystem", config: { dir: filesIn, flushInterval: 1 } },
        };
  helper.settings({ contextStorage, logging: { console: { level: "off" } } });
  // The stores are opened before the flows start, as in the real runtime.
  const openStores = (): Promise<void> => helper._context.load();
  await helper.load([openStores, register], flow);
  const rig = rigOf(flow);
  t.after(() => rig.stop());
  return rig;
}

function rigOf(flow: readonly FlowNode[]): Rig {
  const gathered = new Map<string, Message[]>();
  const arrivals = new EventEmitter();
  const statuses: Status[] = [];
  const warnings: string[] = [];
  const listen = (nodes: readonly FlowNode[]): void => {
    for (const { id, type } of nodes) {
      if (type === "helper") {
        helper.getNode(id).on("input", (message: Message) => {
          gathered.set(id, [...(gathered.get(id) ?? []), message]);
          arrivals.emit(id);
        });
      }
    }
    if (nodes.every(({ id }) => id !== "n")) return;
    const node = helper.getNode("n");
    node.on("call:status", (call: { args: [Status] }) => statuses.push(call.args[0]));
    node.on("call:warn", (call: { args: [string] }) => warnings.push(call.args[0]));
  };
  listen(flow);
  const arrivalOf = async (id: string): Promise<void> => {
    const signal = AbortSignal.timeout(waitMsMax);
    await once(arrivals, id, { signal }).catch(() => {
      assert.fail(`nothing came to ${id}; elsewhere: ${JSON.stringify([...gathered])}`);
    });
  };
  let isStopped = false;
  const takeFrom = (id: string): Message | undefined => gathered.get(id)?.shift();
  return {
    statuses,
    warnings,
    errors: (wanted = "error", of = "n") =>
      helper
        .log()
        .args.filter(([{ id, level }]) => {
          const { ERROR, WARN, INFO } = helper.log();
          return id === of && level === { error: ERROR, warn: WARN, info: INFO }[wanted];
        })
        .map(([{ msg }]) => String(msg)),
    kept: () =>
      new Promise((found) =>
        helper
          .getNode("n")
          .context()
          .get("weir", "file", (_, value) => found(value)),
      ),
    send: (message) => helper.getNode("n").receive(message),
    sendAtClose: (message) => {
      const node = helper.getNode("n");
      const receive = (): void => node.receive(message);
      const busy = new Int32Array(new SharedArrayBuffer(4));
      node.on("close", () =>
        setImmediate(() => {
          Atomics.wait(busy, 0, 0, 2 * flowLimits.closeLingerMs);
          setImmediate(receive);
        }),
      );
    },
    next: async (id) => {
      if ((gathered.get(id) ?? []).length === 0) await arrivalOf(id);
      const message = takeFrom(id);
      assert.ok(message !== undefined);
      return message;
    },
    rest: (id) => gathered.get(id) ?? [],
    deploy: async (next) => {
      await helper.setFlows(next, "full");
      listen(next);
    },
    stop: async () => {
      if (isStopped) return;
      isStopped = true;
      await helper._redNodes.stopFlows();
      await helper._context.close();
      // The helper empties all stores: those that are not there any more stay as they are on disk.
      helper._context.init({});
      await helper.unload();
    },
  };
}
