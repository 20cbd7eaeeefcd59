/**
 * The end at every call of a door while bodies are posted under keys: sent again until they are answered,
 * each is taken once.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultDisk } from "../../test/support/fault-disk.ts";
import { secondsPipeline } from "../../test/support/pipelines.ts";
import { seededRandom } from "../../test/support/seeded-random.ts";
import { SimulatedClock } from "../../test/support/simulated-clock.ts";
import type { Kv } from "../core/doors.ts";
import { KvMemory } from "../store/state/kv-memory.ts";
import { type Agent, openAgent } from "./agent.ts";
import { configOf, sourceDefaults } from "./config/config.ts";
import { systemHashing } from "./doors/hashing.ts";
import { plainNet } from "./doors/net.ts";
import type { PostAnswer } from "./ingest/post/posts.ts";

const startMs = 1_764_000_000_000;

/** Readings of one message of a large body, and its messages: more rows than a frame has. */
const fields = 64;
const messages = 560;

/** Small ones behind it, so that commits come between. */
const others = 6;

const bodies: readonly { readonly key: string; readonly body: string; readonly answer: object }[] =
  [
    {
      key: "small",
      body: '[{"topic":"plant/p1","payload":{"a":1,"b":2}},{"topic":"x","payload":1},{"topic":"plant/p1","payload":[1]}]',
      answer: { messages: 3, decoded: 1, deadLettered: 1, unwanted: 1 },
    },
    {
      key: "large",
      body: JSON.stringify(
        Array.from({ length: messages }, (_, n) => ({
          topic: "plant/p2",
          payload: Object.fromEntries(Array.from({ length: fields }, (__, m) => [`f${m}`, n + m])),
        })),
      ),
      answer: { messages, decoded: messages, deadLettered: 0, unwanted: 0 },
    },
    ...Array.from({ length: others }, (_, n) => ({
      key: `other-${n}`,
      body: `{"topic":"plant/p1","payload":{"a":${n}}}`,
      answer: { messages: 1, decoded: 1, deadLettered: 0, unwanted: 0 },
    })),
  ];

/** What outlasts the lives of the agent. */
class Gateway {
  readonly #seed: number;
  readonly #faults: FaultDisk;
  #kv = new KvMemory();
  #clock = new SimulatedClock(startMs);
  #agent: Agent | undefined;
  #calls = 0;
  #endAt = Number.POSITIVE_INFINITY;
  isOver = false;
  lives = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#faults = new FaultDisk(seededRandom(seed));
    this.#faults.fate = () => (this.#call() ? undefined : "crash");
  }

  /** The power goes at the `calls`-th call of a door from now. */
  arm(calls: number): void {
    this.#endAt = this.#calls + calls;
  }

  async start(): Promise<void> {
    if (this.lives > 0) {
      this.#faults.crash();
      this.#clock = this.#clock.kill();
      this.#kv = new KvMemory({ image: this.#kv.image() });
    }
    this.lives += 1;
    this.#endAt = Number.POSITIVE_INFINITY;
    this.isOver = false;
    const opening = openAgent({
      config: configOf({
        agent: "gw1",
        dataDirectory: "/data",
        sources: [{ ...sourceDefaults, name: "plant", topics: ["plant/{device}"] }],
        pipelines: [secondsPipeline],
      }),
      doors: {
        clock: this.#clock,
        random: seededRandom(this.#seed + this.lives),
        disk: this.#faults.mount(),
        net: plainNet(),
        kv: this.#kvOfLife(),
        hashing: systemHashing,
      },
      logDirectory: "/data/log",
      tablesDirectory: "/data/tables",
      segmentBytes: 4_194_304,
      listen: false,
      onFailed: () => assert.ok(this.isOver, "nothing fails but by the end"),
      onClosed: async () => undefined,
    });
    void opening.then((agent) => (this.#agent = agent));
    await this.#until(opening);
  }

  /** What the body was answered; undefined: the process is gone. */
  async post(body: string, key: string): Promise<PostAnswer | undefined> {
    assert.ok(this.#agent);
    const bytes = Buffer.from(body);
    const posting = this.#agent.posts.take(
      { bytes, type: "application/json", topic: undefined },
      key,
    );
    const outcome = await this.#until(posting);
    if (outcome === undefined || this.isOver) return undefined;
    assert.ok(outcome.kind === "durable", outcome.kind);
    return outcome.answer;
  }

  async pass(ms: number): Promise<void> {
    await this.#clock.pass(ms);
  }

  /** Ends it in order; what the ledger says of its only source. */
  async close(): Promise<ReturnType<Agent["ledger"]>["sources"][number] | undefined> {
    assert.ok(this.#agent);
    await this.#until(this.#agent.close());
    return this.#agent.ledger().sources[0];
  }

  async #until<Value>(promise: Promise<Value>): Promise<Value | undefined> {
    let value: Value | undefined;
    let isSettled = false;
    const settled = (found?: Value): void => {
      value = found;
      isSettled = true;
    };
    promise.then(settled, () => settled());
    for (let waits = 0; !isSettled && !this.isOver; waits++) {
      assert.ok(waits < 100, "it comes to an end");
      await this.#clock.pass(100);
    }
    return value;
  }

  #call(): boolean {
    if (this.#calls++ >= this.#endAt) this.isOver = true;
    return !this.isOver;
  }

  /** A transaction at which the power goes is done or not, by its number. */
  #kvOfLife(): Kv {
    const memory = this.#kv;
    return {
      get: (key) => memory.get(key),
      range: (range) => memory.range(range),
      close: () => memory.close(),
      commit: async (writes) => {
        const wasOver = this.isOver;
        const isAlive = this.#call();
        if (isAlive || (!wasOver && this.#calls % 2 === 0)) await memory.commit(writes);
        if (!isAlive) await new Promise(() => undefined);
      },
    };
  }
}

/** Posts each body until it is answered, the power going once; how often it was sent. */
async function play(gateway: Gateway, calls: number): Promise<number> {
  await gateway.start();
  gateway.arm(calls);
  let sent = 0;
  for (const { key, body, answer } of bodies) {
    for (;;) {
      sent += 1;
      const found = await gateway.post(body, key);
      // The commit is due each second: it falls between bodies, and into them.
      await gateway.pass(300);
      if (found !== undefined) {
        const { repeated: _, unwantedTopics: __, ...counts } = found;
        assert.deepEqual(counts, answer, `${key} when the power goes at call ${calls}`);
        break;
      }
      await gateway.start();
    }
  }
  return sent;
}

test("wherever the power goes, each body under a key is taken once", {
  timeout: 300_000,
}, async (t) => {
  let resent = 0;
  let calls = 0;
  for (; ; calls++) {
    const gateway = new Gateway(calls);
    const sent = await play(gateway, calls);
    resent += sent - bodies.length;
    const hadEnd = gateway.lives > 1;
    gateway.arm(Number.POSITIVE_INFINITY);
    // A new life knows them, too.
    gateway.isOver = true;
    await gateway.start();
    for (const { key, body, answer } of bodies) {
      const { unwantedTopics: _, ...found } = (await gateway.post(body, key)) ?? {};
      assert.deepEqual(found, { ...answer, repeated: true });
    }
    const row = await gateway.close();
    const at = `when the power goes at call ${calls}`;
    assert.deepEqual(
      row?.messages,
      { received: messages + 2 + others, decoded: messages + 1 + others, deadLettered: 1, shed: 0 },
      at,
    );
    assert.equal(row?.readings.decoded, messages * fields + 2 + others, at);
    if (!hadEnd) break;
  }
  assert.ok(calls > 10, `the end came at ${calls} calls`);
  assert.ok(resent > 0, "some were sent again");
  t.diagnostic(`the end at each of ${calls} calls of a door; ${resent} bodies sent again`);
});
