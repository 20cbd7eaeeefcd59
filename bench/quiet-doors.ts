/**
 * Doors for an agent whose hour passes in minutes: the disk and the state store are the real ones,
 * the clock is not. It stands still while anything is written, read or synced, and then jumps to the
 * next timer; so waits, checkpoints, flushes and compactions come in the order and as often as in a
 * real hour, on a disk that takes no time.
 */

import type { Clock, Disk, DiskFile, Kv } from "../src/core/doors.ts";
import { type Millis, millis } from "../src/core/units.ts";
import type { KafkaDoor } from "../src/agent/doors/kafka.ts";
import type { Cluster } from "../src/sync/kafka/cluster.ts";

/** What is under way at the doors. */
export class UnderWay {
  #count = 0;

  async of<Result>(work: Promise<Result>): Promise<Result> {
    this.#count += 1;
    try {
      return await work;
    } finally {
      this.#count -= 1;
    }
  }

  begin(): () => void {
    this.#count += 1;
    return () => {
      this.#count -= 1;
    };
  }

  /** Resolves when nothing is, and nothing came of it. */
  async nothing(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve));
    while (this.#count > 0);
  }
}

type Timer = { readonly at: number; readonly run: () => void };

export class JumpingClock implements Clock {
  readonly #underWay: UnderWay;
  readonly #startMs: number;
  #elapsedMs = 0;
  /** The next one last. */
  readonly #timers: Timer[] = [];

  constructor(startMs: number, underWay: UnderWay) {
    this.#startMs = startMs;
    this.#underWay = underWay;
  }

  now(): Millis {
    return millis(this.#startMs + this.#elapsedMs);
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.#elapsedMs + Math.max(0, delayMs), run };
    const place = this.#timers.findIndex(({ at }) => at <= timer.at);
    this.#timers.splice(place === -1 ? this.#timers.length : place, 0, timer);
    return () => {
      const at = this.#timers.indexOf(timer);
      if (at !== -1) this.#timers.splice(at, 1);
    };
  }

  soon(run: () => void): void {
    const end = this.#underWay.begin();
    setImmediate(() => {
      end();
      run();
    });
  }

  /** Lets time pass until then, since the start; what is due before runs, and what comes of it. */
  async passTo(elapsedMs: number): Promise<void> {
    for (;;) {
      await this.#underWay.nothing();
      const next = this.#timers.at(-1);
      if (next === undefined || next.at > elapsedMs) break;
      this.#timers.pop();
      this.#elapsedMs = Math.max(this.#elapsedMs, next.at);
      next.run();
    }
    this.#elapsedMs = Math.max(this.#elapsedMs, elapsedMs);
  }
}

/** `onWrite` hears of every write: the file, and its bytes. */
export function quietDisk(
  disk: Disk,
  underWay: UnderWay,
  onWrite: (path: string, bytes: number) => void,
): Disk {
  return {
    open: async (path, options) => {
      const file = await underWay.of(disk.open(path, options));
      return quietFile(file, underWay, (bytes) => onWrite(path, bytes));
    },
    list: (directory) => underWay.of(disk.list(directory)),
    makeDirectory: (path) => underWay.of(disk.makeDirectory(path)),
    rename: (from, to) => underWay.of(disk.rename(from, to)),
    remove: (path) => underWay.of(disk.remove(path)),
    syncDirectory: (path) => underWay.of(disk.syncDirectory(path)),
    freeBytes: (path) => underWay.of(disk.freeBytes(path)),
  };
}

function quietFile(file: DiskFile, underWay: UnderWay, onWrite: (bytes: number) => void): DiskFile {
  return {
    read: (target, offset) => underWay.of(file.read(target, offset)),
    write: (source, offset) => {
      onWrite(source.length);
      return underWay.of(file.write(source, offset));
    },
    sync: () => underWay.of(file.sync()),
    size: () => underWay.of(file.size()),
    truncate: (size) => underWay.of(file.truncate(size)),
    close: () => underWay.of(file.close()),
  };
}

export function quietKv(kv: Kv, underWay: UnderWay): Kv {
  return {
    get: (key) => kv.get(key),
    range: (options) => kv.range(options),
    commit: (writes) => underWay.of(kv.commit(writes)),
    close: () => kv.close(),
  };
}

/** A cluster on real sockets that takes no time: the clock stands still until it has answered. */
export function quietKafka(kafka: KafkaDoor, underWay: UnderWay): KafkaDoor {
  return {
    ...kafka,
    connect: async (options) => quietCluster(await underWay.of(kafka.connect(options)), underWay),
  };
}

function quietCluster(cluster: Cluster, underWay: UnderWay): Cluster {
  return {
    id: cluster.id,
    get isLost() {
      return cluster.isLost;
    },
    get traffic() {
      return cluster.traffic;
    },
    partitionsOf: (...of) => underWay.of(cluster.partitionsOf(...of)),
    createTopic: (...of) => underWay.of(cluster.createTopic(...of)),
    topicConfig: (...of) => underWay.of(cluster.topicConfig(...of)),
    initProducer: (...of) => underWay.of(cluster.initProducer(...of)),
    addPartitions: (...of) => underWay.of(cluster.addPartitions(...of)),
    addGroup: (...of) => underWay.of(cluster.addGroup(...of)),
    produce: (...of) => underWay.of(cluster.produce(...of)),
    commitOffset: (...of) => underWay.of(cluster.commitOffset(...of)),
    endTransaction: (...of) => underWay.of(cluster.endTransaction(...of)),
    committedOffsets: (...of) => underWay.of(cluster.committedOffsets(...of)),
    offsets: (...of) => underWay.of(cluster.offsets(...of)),
    fetch: (...of) => underWay.of(cluster.fetch(...of)),
    close: () => underWay.of(cluster.close()),
  };
}
