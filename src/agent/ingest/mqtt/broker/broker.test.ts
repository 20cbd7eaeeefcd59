import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import type { EventEmitter } from "node:events";
import { test } from "node:test";
import { Aedes } from "aedes";
import { Broker, type BrokerLimits } from "./broker.ts";

const bounds: BrokerLimits = {
  backlogBytesMax: 1_000,
  unreadBytesMax: 1_000,
  subscriptionsPerClientMax: 10,
  leaversPerTurnMax: 10,
  subscriptionsMax: 10,
  keptSessionsMax: 10,
  openIdsPerClientMax: 10,
  waitingPerSessionMax: 10,
  waitingBytesMax: 1_000,
  retainedMax: 10,
  retainedBytesMax: 1_000,
  qos2OpenMax: 10,
};

test("what fails inside the broker is counted by its owner", () => {
  const aedes = new Aedes();
  let errors = 0;
  new Broker(aedes, { limits: bounds, topicsMax: 1, monotonic: () => 0, soon: setImmediate }).serve(
    {
      login: () => Promise.resolve("ok"),
      asked: ({ done }) => done(),
      mayPublish: () => true,
      maySubscribe: () => true,
      mayReceive: () => true,
      eased: () => undefined,
      dropped: () => undefined,
      erred: () => {
        errors += 1;
      },
    },
  );
  const emitter: EventEmitter = aedes;
  emitter.emit("error", new Error("a will that cannot be read"));
  assert.equal(errors, 1);
});

test("a bug in a login ends the process instead of refusing the client", () => {
  const script = `
    import { Aedes } from "aedes";
    import { Broker } from "./src/agent/ingest/mqtt/broker/broker.ts";
    const aedes = new Aedes();
    const login = () => Promise.reject(new TypeError("a bug"));
    const broker = new Broker(aedes, { limits: { unreadBytesMax: 1 }, topicsMax: 1 });
    broker.serve({ login });
    let stream;
    aedes.handle = (given) => (stream = given);
    broker.connect({});
    aedes.authenticate({ conn: stream, id: "c" }, "sensor", Buffer.from("right"), () => process.exit(0));`;
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
  assert.equal(status, 1);
  assert.match(stderr.toString(), /TypeError: a bug/);
});
