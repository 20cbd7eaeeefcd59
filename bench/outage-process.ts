/**
 * The upstream half of an agent through a week without an uplink: a state store on disk, the link's
 * policy, the drain and the Kafka uplink with its defaults; only the cluster is a model, and the clock
 * goes from timer to timer.
 *
 *   away, a summary a minute and key ── connect ── alert ── fresh ── backfill at the bandwidth
 *                                                                    memory, every ten seconds
 *
 *   node outage-process.js '{"directory":"/tmp/x","days":7,...}'
 *
 * Prints {"event":"done", ...}. The model forgets what it was given: its memory is none of an agent's.
 */

import { join } from "node:path";
import { readFileSync } from "node:fs";
import { kafkaUplinkDefaults } from "../src/agent/config/kafka-config.ts";
import { linkOf } from "../src/agent/config/link-config.ts";
import { Fault } from "../src/core/faults.ts";
import { limits } from "../src/core/limits.ts";
import { millis } from "../src/core/units.ts";
import { openKvLmdb } from "../src/store/state/kv-lmdb.ts";
import { OutboxWriter } from "../src/store/outbox/outbox.ts";
import { encodeSummary } from "../src/store/outbox/record-codec.ts";
import { Link } from "../src/sync/link/link.ts";
import { Via } from "../src/sync/link/via.ts";
import { timedCluster } from "../test/support/kafka/timed-cluster.ts";
import {
  cursorTopic,
  requestMs,
  topics,
  UpstreamHalf,
  UpstreamWorld,
} from "../test/support/kafka/upstream-half.ts";
import { wiredCluster } from "../test/support/kafka/wired-cluster.ts";
import { sampleAlert } from "../test/support/sample-alert.ts";
import { fractions } from "../test/support/seeded-random.ts";
import { rounded } from "./process.ts";

export type OutageProcess = {
  readonly directory: string;
  readonly days: number;
  /** Summaries a minute in the outage, and in its last five minutes beside them. */
  readonly keys: number;
  readonly freshKeys: number;
  /** Bytes a second. */
  readonly bandwidth: number;
};

export type OutageFigures = {
  readonly summaries: number;
  /** From the first connect to what was committed. */
  readonly alert_ms: number;
  readonly first_fresh_ms: number;
  readonly drain_s: number;
  /** Of the bandwidth, in ten seconds, as long as there was a backlog. */
  readonly share_min: number;
  readonly share_mean: number;
  readonly share_max: number;
  /** After a full collection: when the drain began, its least and its most, and in the last quarter. */
  readonly heap_mb: Memory;
  /** Without pages of files. */
  readonly rss_anon_mb: Memory;
  readonly samples: number;
};

type Memory = {
  readonly begin: number;
  readonly first_quarter: number;
  readonly last_quarter: number;
  readonly max: number;
};

const minute = 60_000;
const day = 1_440 * minute;
const startMs = Date.UTC(2026, 0, 1);
const stepMinutes = 10;
const freshMinutes = limits.freshForMs / minute;
const sampleMs = limits.linkSpanMs;
const storeBytesMax = 1024 ** 3;

class Outage {
  readonly world: UpstreamWorld = new UpstreamWorld(11);
  readonly #options: OutageProcess;
  readonly #fraction: () => number = fractions(3);
  readonly #half: UpstreamHalf;
  #isAway = true;
  #connectedAt: number | undefined;
  /** Bytes by second of the monotonic clock. */
  readonly #sent = new Map<number, number>();
  #summaries = 0;
  #received = 0;

  constructor(options: OutageProcess) {
    this.#options = options;
    const { clock } = this.world;
    const link = new Link({
      policy: linkOf({ name: "lte", bandwidth: options.bandwidth }),
      clock,
      trustedNow: () => clock.now(),
      get: () => undefined,
      store: () => Promise.resolve(),
    });
    const over = new Via({ links: [link], clock, isShared: false });
    const { headers, compression, lingerMs } = kafkaUplinkDefaults;
    const half: UpstreamHalf = new UpstreamHalf(this.world, {
      kv: openKvLmdb({ path: join(options.directory, "state.mdb"), bytesMax: storeBytesMax }),
      uplink: {
        over,
        headers,
        compression,
        lingerMs,
        freshForMs: limits.freshForMs,
        connect: async (_clientId, lane) => {
          if (this.#isAway) throw new Fault("UPLINK_UNREACHABLE", "the network is away");
          this.#connectedAt ??= clock.monotonic();
          const wire = over.wire(lane);
          if (wire === undefined) throw new Error("a link with a bandwidth is no plain one");
          const cluster = timedCluster(this.world.connect(half), { clock, timeoutMs: requestMs });
          return wiredCluster(cluster, wire, {
            onSent: (bytes) => this.#onSent(bytes),
            onReceived: () => undefined,
          });
        },
      },
    });
    this.#half = half;
  }

  async run(): Promise<OutageFigures> {
    await this.#half.start();
    await this.#away();
    this.#isAway = false;
    const alertMs = await this.#passUntil(() => this.#half.status("alerts").deliveries > 0);
    const isFirst = this.#half.status("summaries").deliveries === 0;
    const freshMs = await this.#passUntil(() => this.#half.status("summaries").deliveries > 0);
    if (!isFirst || this.#half.status("backfill").deliveries > 0) {
      throw new Error("what came first was no alert, or what followed was not fresh");
    }
    await this.#passUntil(() => this.#half.status("backfill").deliveries > 0);
    const drain = await this.#drain();
    if (this.#received !== this.#summaries) {
      throw new Error(`${this.#received} of ${this.#summaries} summaries are out there`);
    }
    await this.#half.drain.close();
    return {
      summaries: this.#summaries,
      alert_ms: alertMs,
      first_fresh_ms: freshMs,
      ...drain,
    };
  }

  // ---- the week ----

  async #away(): Promise<void> {
    const { days, keys, freshKeys } = this.#options;
    const end = days * day;
    for (let at = 0; at < end; at += stepMinutes * minute) {
      const outbox = new OutboxWriter();
      for (let n = 0; n < stepMinutes; n++) {
        const isFresh = at + n * minute >= end - freshMinutes * minute;
        const count = keys + (isFresh ? freshKeys : 0);
        for (let key = 0; key < count; key++) {
          outbox.add("summaries", this.#summary(key, startMs + at + n * minute));
        }
        this.#summaries += count;
      }
      await this.#half.commit(outbox);
      await this.world.pass(stepMinutes * minute);
    }
    const outbox = new OutboxWriter();
    outbox.add("alerts", sampleAlert(startMs + end));
    await this.#half.commit(outbox);
  }

  #summary(key: number, start: number): Uint8Array {
    const values = Array.from(
      { length: 4 },
      () => Math.round(100 * (20 + (key % 40) + this.#fraction())) / 100,
    );
    const sum = values.reduce((total, value) => total + value, 0);
    return encodeSummary("gw1", {
      kind: "summary",
      pipeline: "minute",
      key: [
        ["device", `d${String(key).padStart(5, "0")}`],
        ["metric", "temperature"],
      ],
      start: millis(start),
      end: millis(start + minute),
      revision: 0,
      count: values.length,
      fields: { mean: sum / values.length, min: Math.min(...values), max: Math.max(...values) },
      arrivalTimed: 0,
    });
  }

  // ---- the drain ----

  async #passUntil(holds: () => boolean): Promise<number> {
    for (let tries = 0; tries < 100_000; tries++) {
      await this.world.quiet();
      if (holds()) return this.world.clock.monotonic() - (this.#connectedAt ?? 0);
      this.world.clock.step(Infinity);
    }
    throw new Error(`it does not come: ${JSON.stringify(this.#half.drain.status)}`);
  }

  async #drain(): Promise<Omit<OutageFigures, "summaries" | "alert_ms" | "first_fresh_ms">> {
    const { clock } = this.world;
    const from = clock.monotonic();
    const heap: number[] = [];
    const rss: number[] = [];
    let full = from;
    for (;;) {
      this.#forget();
      const memory = memoryNow();
      heap.push(memory.heap);
      rss.push(memory.rss);
      if (this.#half.status("backfill").behind === 0) break;
      full = clock.monotonic();
      await this.world.pass(sampleMs);
    }
    if (!this.#half.isDone) await this.#passUntil(() => this.#half.isDone);
    this.world.cluster.settle();
    this.#forget();
    const shares = this.#sharesIn(from, full);
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    return {
      drain_s: rounded((full - from) / 1_000),
      share_min: rounded(Math.min(...shares)),
      share_mean: rounded(mean),
      share_max: rounded(Math.max(...shares)),
      heap_mb: memoryOf(heap),
      rss_anon_mb: memoryOf(rss),
      samples: heap.length,
    };
  }

  #onSent(bytes: number): void {
    const second = Math.floor(this.world.clock.monotonic() / 1_000);
    this.#sent.set(second, (this.#sent.get(second) ?? 0) + bytes);
  }

  /** Of what the bandwidth allows in ten seconds, from each full second on. */
  #sharesIn(from: number, to: number): readonly number[] {
    const seconds = sampleMs / 1_000;
    const most = this.#options.bandwidth * seconds;
    const shares: number[] = [];
    for (let first = Math.ceil(from / 1_000); first + seconds <= to / 1_000; first++) {
      let bytes = 0;
      for (let n = 0; n < seconds; n++) bytes += this.#sent.get(first + n) ?? 0;
      shares.push(bytes / most);
    }
    return shares;
  }

  /** What the cluster has is counted, and gone. */
  #forget(): void {
    const { cluster } = this.world;
    cluster.compact(cursorTopic);
    const topic = topics.summaries;
    const ends = new Map<number, number>();
    for (const { partition, offset } of cluster.readCommitted(topic)) {
      this.#received += 1;
      ends.set(partition, Math.max(ends.get(partition) ?? 0, offset + 1));
    }
    for (const [partition, end] of ends) cluster.truncateFront({ topic, partition }, end);
  }
}

// ---- memory ----

function memoryNow(): { readonly heap: number; readonly rss: number } {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  const status = readFileSync("/proc/self/status", "utf8");
  const anon = Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) * 1_024;
  return { heap: (heapUsed + external) / 1e6, rss: anon / 1e6 };
}

function memoryOf(samples: readonly number[]): Memory {
  const quarter = Math.max(1, Math.floor(samples.length / 4));
  const mean = (of: readonly number[]): number =>
    rounded(of.reduce((sum, value) => sum + value, 0) / of.length);
  return {
    begin: rounded(samples[0] ?? 0),
    first_quarter: mean(samples.slice(0, quarter)),
    last_quarter: mean(samples.slice(-quarter)),
    max: rounded(Math.max(...samples)),
  };
}

const options = JSON.parse(process.argv[2] ?? "{}") as OutageProcess;
const figures = await new Outage(options).run();
process.stdout.write(`${JSON.stringify({ event: "done", ...figures })}\n`, () => process.exit(0));
