import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Packet } from "mqtt-packet";
import {
  type BrokerEnd,
  openSubscriberRig,
  type ScriptedBroker,
  type SubscriberRig,
} from "../../../../../test/support/subscriber-rig.ts";
import type { QoS } from "./subscriber-config.ts";

type Owed = {
  readonly payload: string;
  readonly qos: QoS;
  readonly id: number;
  /** QoS 2: PUBREC has come. */
  isReceived: boolean;
};

/**
 * What a broker owes: it sends at most `quota` messages, the others wait; on a new connection of the
 * session all that is unanswered is sent again. Asks about each answer whether the message is durable.
 */
class Debt {
  readonly #broker: ScriptedBroker;
  readonly #quota: number;
  readonly #isDurable: (payload: string) => boolean;
  #waiting: { readonly payload: string; readonly qos: QoS }[] = [];
  #inFlight: Owed[] = [];
  #ids = 0;
  #sent = 0;
  /** Given up with the session. */
  readonly lost = new Set<string>();
  readonly published: { readonly payload: string; readonly qos: QoS }[] = [];

  constructor(broker: ScriptedBroker, quota: number, isDurable: (payload: string) => boolean) {
    this.#broker = broker;
    this.#quota = quota;
    this.#isDurable = isDurable;
    broker.onPacket = (end, packet) => this.#seen(end, packet);
  }

  get count(): number {
    return this.#waiting.length + this.#inFlight.length;
  }

  publish(qos: QoS): void {
    const message = { payload: String(this.#sent++), qos };
    this.published.push(message);
    this.#waiting.push(message);
    this.#flow();
  }

  loseSession(): void {
    for (const { payload } of [...this.#waiting, ...this.#inFlight]) this.lost.add(payload);
    this.#waiting = [];
    this.#inFlight = [];
    this.#broker.hasSession = false;
  }

  #flow(): void {
    const { end } = this.#broker;
    while (!end.isClosed && this.#inFlight.length < this.#quota) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      if (next.qos === 0) {
        end.publish("plant/p1", next.payload);
        continue;
      }
      do this.#ids = (this.#ids % 12) + 1;
      while (this.#inFlight.some(({ id }) => id === this.#ids));
      const owed: Owed = { ...next, id: this.#ids, isReceived: false };
      this.#inFlight.push(owed);
      end.publish("plant/p1", owed.payload, owed);
    }
  }

  #seen(end: BrokerEnd, packet: Packet): void {
    if (packet.cmd === "connect") {
      for (const { id, qos, payload, isReceived } of this.#inFlight) {
        if (isReceived) end.pubrel(id);
        else end.publish("plant/p1", payload, { id, qos, dup: true });
      }
      this.#flow();
      return;
    }
    const owed = this.#inFlight.find(({ id }) => id === packet.messageId);
    if (packet.cmd === "puback" || packet.cmd === "pubrec") {
      assert.ok(owed !== undefined, `${packet.cmd} is of a message that is under way`);
      assert.equal(owed.qos, packet.cmd === "puback" ? 1 : 2);
      assert.ok(this.#isDurable(owed.payload), `${owed.payload} is durable`);
    }
    if (packet.cmd === "pubrec" && owed !== undefined) {
      owed.isReceived = true;
      end.pubrel(owed.id);
    }
    if (packet.cmd === "puback" || packet.cmd === "pubcomp") {
      this.#inFlight = this.#inFlight.filter((other) => other !== owed);
      this.#flow();
    }
  }
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<QoS>(0, 1, 2) },
  { weight: 2, arbitrary: fc.constant("seal") },
  { weight: 2, arbitrary: fc.constant("release") },
  { weight: 2, arbitrary: fc.constant("settle") },
  { weight: 1, arbitrary: fc.constant("cut") },
  { weight: 1, arbitrary: fc.constant("pass") },
  { weight: 1, arbitrary: fc.constant("full") },
  { weight: 1, arbitrary: fc.constant("lose") },
);

/** The gateway's disk: what is received becomes durable with a seal and a release. */
class Batches {
  readonly #rig: SubscriberRig;
  #sealed: number | undefined;
  durable = 0;

  constructor(rig: SubscriberRig) {
    this.#rig = rig;
  }

  seal(): void {
    if (this.#sealed !== undefined) return;
    this.#sealed = this.#rig.receiver.received.length;
    this.#rig.subscriber.seal();
  }

  release(): void {
    if (this.#sealed === undefined) return;
    this.durable = this.#sealed;
    this.#sealed = undefined;
    this.#rig.subscriber.release();
    this.#rig.receiver.capacity = Number.POSITIVE_INFINITY;
    this.#rig.subscriber.room();
  }
}

for (const level of [4, 5] as const) {
  test(`level ${level}: what a broker owes arrives, answered only when durable, QoS 2 once, whatever happens`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 60 }),
        fc.integer({ min: 1, max: 10 }),
        async (steps, quota) => {
          const rig = openSubscriberRig({ config: { level, qos: 2 } });
          const batches = new Batches(rig);
          const { received } = rig.receiver;
          const debt = new Debt(rig.broker, quota, (payload) =>
            received.slice(0, batches.durable).some((message) => message.payload === payload),
          );
          await rig.settle();
          for (const each of steps) {
            if (typeof each === "number") debt.publish(each);
            else if (each === "seal") batches.seal();
            else if (each === "release") batches.release();
            else if (each === "settle") await rig.settle();
            else if (each === "cut") rig.broker.end.peer.vanish();
            else if (each === "pass") await rig.pass(1_000);
            else if (each === "full") rig.receiver.capacity = 2;
            else if (!rig.broker.end.isClosed) {
              rig.broker.end.peer.vanish();
              debt.loseSession();
            }
            rig.broker.work(); // what was said is judged before anything else becomes durable
          }
          for (let i = 0; i < 60 && debt.count > 0; i++) {
            await rig.pass(2_000);
            batches.seal();
            batches.release();
          }
          assert.equal(debt.count, 0, "nothing is owed for ever");
          for (const { payload, qos } of debt.published) {
            const times = rig.receiver.payloads.filter((other) => other === payload).length;
            if (qos > 0 && !debt.lost.has(payload)) assert.ok(times >= 1, `${payload} arrived`);
            if (qos === 2) assert.ok(times <= 1, `${payload} of QoS 2 was received ${times} times`);
          }
        },
      ),
      { numRuns: 150 },
    );
  });
}
