/**
 * Reads commands from a topic: requests for raw readings that somebody at the side of Kafka has.
 *
 *   open ──▶ fetch ──▶ each record: ours? ──▶ request + position, one transaction ──┐
 *     ▲        ▲                                                                    │
 *     │        └──────────────── wait, where nothing came ◀─────────────────────────┘
 *     └── wait: the link is closed, the session failed
 *
 * The position is stored with what a record asked for, so the end of a life neither loses a command nor
 * carries it out twice; of others, at most one transaction for each answer of the cluster. A new topic,
 * or another cluster, is read from its beginning: a command may be older than the agent.
 *
 * It has a session of its own and belongs to no lane; a link counts and paces it as the lane of raw
 * readings. Whatever fails here is tried again, and holds nothing else up.
 */

import type { Clock, KvWrite, Random } from "../../core/doors.ts";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { type Cluster, errorOf, type FetchedRecord } from "../../sync/kafka/cluster.ts";
import { rfc3339 } from "../../sync/kafka/message/rfc3339.ts";
import { CommittedRecords } from "../../sync/kafka/upstream/committed-records.ts";
import type { Link } from "../../sync/link/link.ts";
import type { Via } from "../../sync/link/via.ts";
import { type Command, commandOf } from "./command.ts";
import { openPositions, type Positions } from "./command-positions.ts";
import type { RawAnswers } from "./raw-answers.ts";
import type { RawAsk } from "./raw-request.ts";

export type CommandReaderOptions = {
  readonly agent: string;
  /** Name of the uplink. */
  readonly uplink: string;
  readonly topic: string;
  /** Between two looks where nothing comes. */
  readonly pollMs: number;
  /** The cluster may hold an answer for so long: shorter than the timeout of requests. */
  readonly holdMsMax: number;
  readonly connect: () => Promise<Cluster>;
  /** Whether what the last session logged in with was replaced. */
  readonly isOutdated: () => Promise<boolean>;
  readonly via: Via | undefined;
  readonly answers: Pick<RawAnswers, "ask" | "refuse" | "cancel">;
  readonly get: (key: string) => Uint8Array | undefined;
  /** StateStore.advance. */
  readonly store: (writes: readonly KvWrite[]) => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds since 1970; undefined while the gateway's clock is not trusted. */
  readonly trustedNow: () => number | undefined;
};

export type CommandCounters = {
  readonly topic: string;
  /** `held`: the link is closed; `waiting`: the last try failed; `full`: the queue of raw readings is. */
  readonly state: "opening" | "reading" | "held" | "waiting" | "full" | "closed";
  /** Why it waits, as a sentence. */
  readonly trouble?: string;
  /** Since this process began: carried out, refused, for other agents, not to be read. */
  readonly taken: number;
  readonly refused: number;
  readonly elsewhere: number;
  readonly unreadable: number;
  /** The last that was refused or could not be read: where it lies, and why. */
  readonly lastRefused?: string;
  /** Offsets that were gone before they were read, commands perhaps among them. */
  readonly gone: number;
};

type Session = {
  readonly cluster: Cluster;
  readonly over: Link | undefined;
  readonly partitions: readonly CommittedRecords[];
};

export class CommandReader {
  readonly #options: CommandReaderOptions;
  #state: CommandCounters["state"] = "opening";
  #trouble: string | undefined;
  #taken = 0;
  #refused = 0;
  #elsewhere = 0;
  #unreadable = 0;
  #lastRefused: string | undefined;
  #gone = 0;
  #session: Session | undefined;
  #positions: Positions | undefined;
  #checkedAt = 0;
  #failuresInARow = 0;
  #ownInTurn = 0;
  #isClosed = false;
  #goOn: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(options: CommandReaderOptions) {
    this.#options = options;
  }

  get counters(): CommandCounters {
    return {
      topic: this.#options.topic,
      state: this.#state,
      ...(this.#trouble === undefined ? {} : { trouble: this.#trouble }),
      taken: this.#taken,
      refused: this.#refused,
      elsewhere: this.#elsewhere,
      unreadable: this.#unreadable,
      ...(this.#lastRefused === undefined ? {} : { lastRefused: this.#lastRefused }),
      gone: this.#gone,
    };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends what is under way; what was not stored is read again in the next life. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#state = "closed";
    this.#goOn?.();
    await this.#leave();
    await this.#running;
    await this.#leave();
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      try {
        const waitMs = await this.#look();
        this.#failuresInARow = 0;
        await this.#wait(waitMs);
      } catch (error) {
        if (!isEnvironmental(error)) throw error;
        await this.#failed(error);
      }
    }
  }

  /** Looks once; ms to wait until it is worth it again. */
  async #look(): Promise<number> {
    const { via, clock, pollMs } = this.#options;
    const link = via?.linkOf("raw");
    if (link?.barred("raw") !== undefined) {
      await this.#leave();
      this.#become("held");
      return limits.linkLookMs;
    }
    if (this.#session !== undefined && (this.#session.over !== link || (await this.#isOver())))
      await this.#leave();
    const begunAt = clock.monotonic();
    this.#session ??= await this.#open(link);
    const isQuiet = await this.#read(this.#session);
    if (link !== undefined) via?.succeeded(link);
    this.#become("reading");
    if (!isQuiet) return 0;
    const everyMs = Math.max(pollMs, link?.policy.metered?.maxDelayMs ?? 0);
    if (everyMs > limits.commandsIdleMs) await this.#leave();
    return Math.max(0, everyMs - (clock.monotonic() - begunAt));
  }

  #become(state: CommandCounters["state"]): void {
    if (this.#isClosed) return;
    this.#state = state;
    this.#trouble = undefined;
  }

  /** What it logged in with was replaced, or the connection is gone. */
  async #isOver(): Promise<boolean> {
    if (this.#session?.cluster.isLost === true) return true;
    const now = this.#options.clock.monotonic();
    if (now - this.#checkedAt < limits.kafkaCredentialsMs) return false;
    this.#checkedAt = now;
    return await this.#options.isOutdated();
  }

  async #failed(error: Error & { readonly code: string }): Promise<void> {
    const over = this.#session?.over ?? this.#options.via?.linkOf("raw");
    if (over !== undefined && error.code === "UPLINK_UNREACHABLE") this.#options.via?.failed(over);
    await this.#leave();
    if (this.#isClosed) return;
    // What was kept when it was opened is not what is kept now: opening finds out.
    const isElsewhere = errorOf(error) === "OFFSET_OUT_OF_RANGE";
    this.#state = "waiting";
    this.#trouble = error.message;
    const longest = Math.min(
      limits.uplinkRetryMsMin * 2 ** Math.min(this.#failuresInARow, 30),
      limits.uplinkRetryMsMax,
    );
    this.#failuresInARow += 1;
    const jitter = this.#options.random.uint32() / 2 ** 32;
    await this.#wait(isElsewhere ? limits.uplinkRetryMsMin : longest * (0.5 + jitter / 2));
  }

  async #leave(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.cluster.close();
  }

  // ---- where it reads ----

  async #open(over: Link | undefined): Promise<Session> {
    const { topic, connect, get, uplink, clock, holdMsMax, pollMs } = this.#options;
    const cluster = await connect();
    this.#checkedAt = clock.monotonic();
    try {
      const count = (await cluster.partitionsOf([topic])).get(topic);
      if (count === undefined) throw missing(topic);
      if (count > limits.commandPartitionsMax) throw tooMany(topic, count);
      this.#positions ??= openPositions(get, { uplink, topic });
      this.#positions.use(cluster.id);
      const partitions: CommittedRecords[] = [];
      for (let partition = 0; partition < count; partition++) {
        const at = { topic, partition };
        const { from, gone } = this.#positions.begin(partition, await cluster.offsets(at));
        this.#gone += gone;
        partitions.push(
          new CommittedRecords(cluster, {
            at,
            from,
            bytesMax: limits.commandsFetchBytesMax,
            // Of several partitions, one would wait for the other.
            waitMs: count > 1 ? 0 : Math.min(pollMs, holdMsMax, limits.commandsPollMs),
            takes: () => true,
          }),
        );
      }
      if (this.#isClosed) throw closing();
      return { cluster, over, partitions };
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  /** What each partition has next. Whether nothing came. */
  async #read({ partitions }: Session): Promise<boolean> {
    let isQuiet = true;
    for (const records of partitions) {
      const before = records.offset;
      const decided = await records.next();
      if (records.offset > before) isQuiet = false;
      await this.#take(decided, records);
    }
    return isQuiet;
  }

  async #take(decided: readonly FetchedRecord[], records: CommittedRecords): Promise<void> {
    const positions = this.#positions;
    if (positions === undefined) return;
    const { partition } = records.at;
    // They come as they were decided, which need not be the order of their offsets.
    const behind: number[] = [];
    let first = records.firstUndecided;
    for (const { offset } of decided.toReversed()) {
      behind.push(first);
      first = Math.min(first, offset);
    }
    for (const record of decided) {
      const next = behind.pop() ?? first;
      await this.#obey(record, positions.writeOf(partition, next));
      if (this.#isClosed) return;
      positions.passed(partition, next);
    }
    positions.passed(partition, records.firstUndecided);
    const write = positions.unstored();
    if (write === undefined) return;
    await this.#options.store([write]);
    positions.wrote(write);
  }

  // ---- what a record asks for ----

  async #obey(record: FetchedRecord, write: KvWrite): Promise<void> {
    const { agent, topic, answers } = this.#options;
    const command = this.#unexpired(commandOf(record.value, agent));
    const place = `${topic} at offset ${record.offset}`;
    switch (command.kind) {
      case "elsewhere":
        this.#elsewhere += 1;
        return;
      case "unreadable":
        this.#unreadable += 1;
        this.#lastRefused = `${place}: ${command.reason}`;
        return;
      case "cancel":
        // Of one that is over, or was never there, nothing is left to be done.
        if (await answers.cancel(command.id, [write])) this.#positions?.wrote(write);
        this.#taken += 1;
        break;
      case "refused":
        await this.#refuse(command, { place, write });
        break;
      case "ask": {
        const outcome = await answers.ask(command.ask, [write]);
        if (outcome.kind === "asked") this.#positions?.wrote(write);
        if ("request" in outcome) this.#taken += 1;
        else {
          // A manifest of an id that is there would end another answer.
          const ask = outcome.kind === "conflict" ? undefined : command.ask;
          await this.#refuse({ ask, reason: outcome.message }, { place, write });
        }
        break;
      }
    }
    this.#ownInTurn += 1;
    if (this.#ownInTurn < limits.commandsPerTurn) return;
    this.#ownInTurn = 0;
    await this.#wait(limits.commandsTurnMs);
  }

  #unexpired(command: Command): Command {
    if (command.kind !== "ask" || command.expires === undefined) return command;
    const now = this.#options.trustedNow();
    if (now === undefined || now <= command.expires) return command;
    const at = Buffer.from(rfc3339(command.expires) ?? []).toString("ascii");
    const reason = `it expired at ${at}, before this agent read it`;
    return { kind: "refused", ask: command.ask, reason };
  }

  /** Counted, and said upstream where there is an id to say it of. */
  async #refuse(
    { ask, reason }: { readonly ask: RawAsk | undefined; readonly reason: string },
    { place, write }: { readonly place: string; readonly write: KvWrite },
  ): Promise<void> {
    while (ask !== undefined && !this.#isClosed) {
      const outcome = await this.#options.answers.refuse(ask, reason, [write]);
      if (outcome === "refused") this.#positions?.wrote(write);
      if (outcome !== "full") break;
      this.#become("full");
      await this.#wait(limits.rawLookMs);
    }
    if (this.#isClosed) return;
    this.#refused += 1;
    this.#lastRefused = `${place}: ${reason}`;
  }

  /** Over early at the end. */
  async #wait(delayMs: number): Promise<void> {
    if (this.#isClosed || delayMs <= 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(delayMs, resolve);
      this.#goOn = () => {
        cancel();
        resolve();
      };
    });
    this.#goOn = undefined;
  }
}

function missing(topic: string): Fault {
  return new Fault(
    "UPLINK_REFUSED",
    `the cluster has no topic ${topic} for commands: create it (one partition is enough, and keeps a cancel behind what it cancels), or take commands out of the configuration`,
    { facts: { topic } },
  );
}

function tooMany(topic: string, count: number): Fault {
  return new Fault(
    "UPLINK_REFUSED",
    `the topic ${topic} has ${count} partitions, more than the ${limits.commandPartitionsMax} that an agent reads commands from: name one with fewer in commands.topic`,
    { facts: { topic, partitions: count } },
  );
}

/** Nobody is told. */
function closing(): Fault {
  return new Fault("UPLINK_UNREACHABLE", "the agent ends");
}
