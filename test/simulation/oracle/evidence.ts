/**
 * What the oracle goes by: what devices did, what a consumer upstream reads, and what the agent said
 * of itself. Plain data: nothing in this folder knows any code of the agent or of the world.
 */

/** One reading that a device made. */
export type Reading = {
  readonly device: string;
  /** Counts the readings of the device, from 0. */
  readonly number: number;
  /** Of the device's clock, milliseconds since 1970; undefined where it sends none. */
  readonly time: number | undefined;
  /** Whether its message says so, by a sequence or a time, when it is sent again. */
  readonly isRecognisable: boolean;
  /** A power of two that no other reading of the device in the same window has. */
  readonly value: number;
  /** The other value of its message, of the metric `t`. */
  readonly wobble: number;
  /** When it was first acknowledged, milliseconds of the world. */
  acknowledgedAt: number | undefined;
  /** When it was sent, milliseconds of the world, in order. */
  readonly transmissions: number[];
};

/** Where records are read: two uplinks are two places. */
export type Place = "kafka" | "files" | "replayed";

/** A record as a consumer reads it. */
export type Upstream = {
  readonly place: Place;
  readonly lane: "summaries" | "alerts" | "backfill" | "raw";
  /** The partition, in Kafka. */
  readonly partition: number;
  /** The header `ce_id`, in Kafka. */
  readonly eventId: string | undefined;
  /** As it stands there. */
  readonly text: string;
  /** `text`, parsed. */
  readonly record: Readonly<Record<string, unknown>>;
};

/** A pipeline of windows over the readings' values, by device. */
export type WindowPipeline = {
  readonly name: string;
  readonly sizeMs: number;
  readonly slideMs: number;
};

/** A reading that an agent has stored, as a query answers it. */
export type StoredReading = {
  readonly device: string;
  readonly metric: string;
  readonly time: number;
  readonly value: number;
};

/** What an agent says of the readings that it stored, all at one moment. */
export type StoredCounts = {
  /** By its ledger. */
  readonly accepted: number;
  readonly inMemory: number;
  /** Listed tables stand for so many, and those that are only rolled up for so many of them. */
  readonly inTables: number;
  readonly rolledUp: number;
  readonly expired: number;
  readonly erased: number;
  readonly lost: number;
};

/** All readings that an agent has, asked for series by series, and its counts at that moment. */
export type Stored = {
  /** Which agent, and when. */
  readonly when: string;
  readonly counts: StoredCounts;
  readonly readings: readonly StoredReading[];
  /** What was damaged, missing, or still there although nothing names it. */
  readonly faults: readonly string[];
};

/** What a status says, once a second and at every end. */
export type Sample = {
  readonly atMs: number;
  readonly stored: StoredCounts;
  /** Name to value and bound. */
  readonly bounded: Readonly<Record<string, readonly [value: number, bound: number]>>;
};

export type Counts = Readonly<Record<string, number>>;

/** A link that the gateway goes over, and all that was seen on it. */
export type LinkUse = {
  readonly name: string;
  /** Bytes that may be sent in a second. */
  readonly bandwidth: number | undefined;
  /** Bytes of a day, and what may be under way when they are used up. */
  readonly quotaBytes: number | undefined;
  readonly slackBytes: number;
  /** Not for summaries before this moment of the world. */
  readonly closedUntilMs: number;
  /** In the order of time. */
  readonly sent: readonly {
    readonly atMs: number;
    readonly bytes: number;
    readonly lane: string;
    /** Of a request that brings records. */
    readonly isRecords: boolean;
  }[];
  readonly receivedBytes: number;
};

/** A transaction of a lane, as the cluster saw it. */
export type Transaction = {
  /** Which life of the agent. */
  readonly life: number;
  readonly lane: string;
  /** Moments of the world: its first request set out; it was decided, or given up with its session. */
  readonly beganAt: number;
  readonly endedAt: number;
};

/** Raw readings that somebody asked for; the answer is told by the id. */
export type AskUse = {
  readonly id: string;
  /** Undefined: all. */
  readonly device: string | undefined;
  /** Half-open, milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  readonly mayBeCancelled: boolean;
  /** Moment of the world; undefined: the world ended before. */
  readonly firstTriedAt: number | undefined;
};

export type Evidence = {
  readonly readings: readonly Reading[];
  /** Messages that were no JSON: how often they were sent, how many of them were acknowledged. */
  readonly broken: { readonly sent: number; readonly acknowledged: number };
  /** Where everything must arrive, whether anything did or not. */
  readonly places: readonly Place[];
  /** What the agent did on connections that no sound broker does. */
  readonly protocolFaults: readonly string[];
  readonly windows: readonly WindowPipeline[];
  /** The pipeline of sessions. */
  readonly sessions: string;
  /** The pipeline of readings without a time of their own. */
  readonly arrivals: string;
  /** What became of summaries that waited for an uplink: merged to these tiers, dropped. */
  readonly outbox: { readonly merges: boolean; readonly drops: boolean };
  readonly outboxTiers: readonly number[];
  readonly latenessMs: number;
  /** A device silent for so long holds no window open. */
  readonly idleMs: number;
  /** Devices whose clock is so far ahead that nothing of them may be believed. */
  readonly futureDevices: readonly string[];
  /** Whether the gateway's clock was right all the time. */
  readonly clockWasRight: boolean;
  /** In the order in which a consumer reads it. */
  readonly upstream: readonly Upstream[];
  /** Raw readings: what was asked for, and what came, in the order in which a consumer reads it. */
  readonly raw: {
    readonly asks: readonly AskUse[];
    readonly records: readonly Upstream[];
    /** How far around alerts these ask for themselves, ms; undefined: they do not. */
    readonly around: { readonly beforeMs: number; readonly afterMs: number } | undefined;
  };
  /** The same log applied once more, from nothing; undefined where its beginning is gone. */
  readonly replayed: readonly Upstream[] | undefined;
  /** At the end: by source, by pipeline. Undefined if the agent did not get there. */
  readonly ledger:
    | undefined
    | { readonly sources: readonly Counts[]; readonly pipelines: ReadonlyMap<string, Counts> };
  readonly samples: readonly Sample[];
  /** At the end, and by a process that was started again behind it; none of an agent that did not get there. */
  readonly stored: readonly Stored[];
  /** Why an agent could not start, ended, or did not come to rest, though nothing was wrong. */
  readonly failures: readonly string[];
  /** Records kept for uplinks at the end, and what uplinks had to report. */
  readonly leftOver: number;
  readonly incidents: readonly string[];
  /** The first break that the agent's own verification of Kafka finds. */
  readonly unproven: string | undefined;
  /** At how many starts the medium refused for too long to give back the log, and how many damaged
   * places agents named. */
  readonly medium: { readonly lost: number; readonly named: number };
  /** Those with a policy. */
  readonly links: readonly LinkUse[];
  readonly transactions: readonly Transaction[];
  /** Buffers that were changed after they were given away. */
  readonly changedBuffers: readonly string[];
};

/** A promise of the design that did not hold. */
export type Violation = { readonly promise: string; readonly what: string };
