/** An agent's view with something in every field, for tests of what shows it. */

import type { Alert } from "../../src/core/record.ts";
import { millis, position } from "../../src/core/units.ts";
import type { LedgerView } from "../../src/edge-ops/ledger.ts";
import { bucketBoundsMs } from "../../src/agent/metrics/histogram.ts";
import {
  createFaultCounts,
  createFrontCounters,
} from "../../src/agent/ingest/mqtt/front/front-counters.ts";
import { createBrokerCounters } from "../../src/agent/ingest/mqtt/subscriber/broker-counters.ts";
import type { PumpStatus } from "../../src/sync/pump-status.ts";
import type { AgentView, DeadLetterView, Status } from "../../src/agent/status.ts";
import { noAccessCounters, noAccessStatus } from "../../src/agent/ingest/mqtt/access/access.ts";

const pump: PumpStatus = {
  state: "running",
  trouble: undefined,
  link: undefined,
  held: undefined,
  waitsForBackfill: false,
  next: 0,
  delivered: 0,
  behind: 0,
  oldest: undefined,
  deliveries: 3,
  failures: 1,
  missing: 0,
  incidents: { count: 1, last: undefined },
  facts: { sentBytes: 5_000, epoch: 4 },
};

const sampleCeiling = {
  ceilingBytes: 100_663_296,
  from: "limits.memory",
  roomBytes: 71_303_168,
  seriesMax: 2_048,
  anonymousBytes: 60_000_000,
  anonymousBytesPeak: 65_000_000,
  level: "tight",
  flushes: 2,
  collections: 1,
} as const;

export const sampleStatus: Status = {
  agent: "pumphouse-7",
  version: "0.1.0",
  inventory: { platform: "linux-arm64", node: "v26.10.0", dataflow: "0123456789abcdef" },
  state: "running",
  reasons: [],
  degraded: [],
  reserve: { bytes: 33_554_432, bytesMax: 33_554_432, givenUp: 0, isRefused: false },
  notices: [],
  startedAt: 1_717_999_000_000,
  clock: { now: 1_718_000_000_000, trusted: true },
  dataDirectory: "/var/lib/weir",
  remote: undefined,
  mqtt: {
    host: "127.0.0.1",
    port: 1883,
    listeners: [
      {
        host: "127.0.0.1",
        port: 1883,
        transport: "tcp",
        clientCertificate: "none",
        handshakes: undefined,
      },
      {
        host: "0.0.0.0",
        port: 8883,
        transport: "tls",
        clientCertificate: "required",
        handshakes: {
          underWay: 1,
          crowdedOut: 0,
          timedOut: 2,
          refused: 3,
          lastRefusal: "10.0.0.9:4711: its certificate has expired",
        },
      },
    ],
    access: noAccessStatus,
    counters: {
      ...createFrontCounters(),
      ...noAccessCounters,
      acceptErrors: 0,
      connections: 3,
      bytesIn: 1_000,
      subscriptions: 2,
      sessions: 1,
      messagesHeld: 1,
      protocolErrors: { ...createFaultCounts(), length_malformed: 1 },
    },
  },
  http: {
    host: "127.0.0.1",
    port: 8080,
    tokens: [],
    counters: {
      tokens: 0,
      tokensWrong: 0,
      tokensMissing: 0,
      tokensExpired: 0,
      rolesDenied: 0,
      tokensLimited: 0,
    },
  },
  certificates: [
    {
      file: "/etc/weir/server.crt",
      expires: millis(1_718_000_000_000 + 86_400_000),
      reloads: 1,
      reloadFailures: 0,
      trouble: undefined,
    },
  ],
  brokers: [
    {
      name: "site",
      state: "running",
      url: "mqtt://10.0.0.5",
      connectedSince: 1_717_999_500_000,
      awaySince: undefined,
      sessionPresent: true,
      sessionCutToMs: undefined,
      inFlight: 3,
      sendQuota: 20,
      subscriptions: 2,
      subscriptionsRefused: [],
      subscriptionsLowered: [],
      counters: { ...createBrokerCounters(), received: 40, reconnects: 1 },
      brokerDropped: 0,
      canary: { sent: 5, returned: 5, missed: 0, latencyMs: 4, isMute: false },
      unwantedTopic: undefined,
      trouble: undefined,
      shortLived: 0,
    },
  ],
  intake: {
    decoded: 100,
    deadLettered: 1,
    shed: 0,
    unwanted: 0,
    own: 0,
    rejected: 0,
    scanned: 97,
    lettersWithoutBytes: 0,
    full: 2,
    topics: 3,
    topicLoans: 0,
    slots: 9,
  },
  cardinality: { sources: 1, devices: 3, series: 9, symbols: 4 },
  log: {
    start: 0,
    end: 120,
    bytes: 33_554_432,
    framesAppended: 20,
    rowsAppended: 100,
    appendMs: {
      p50: 1,
      p99: 20,
      count: 20,
      sum: 45.5,
      buckets: [...bucketBoundsMs, 0].map((_, index) => (index === 2 ? 15 : index === 16 ? 5 : 0)),
    },
    damage: { tornBytes: 0, lostRows: 0, places: [] },
  },
  wear: { device: "mmcblk0", totalBytes: 9_000, bytesPerDay: 3_000 },
  flash: {
    capBytes: 2_000_000_000,
    writtenBytes: 1_200_000_000,
    level: 2,
    levelMax: 5,
    waitMs: 800,
    neededBytesPerDay: 2_400_000_000,
    isMissed: false,
  },
  resends: { lookedUp: 9, found: 7, skipped: 2 },
  apply: { applied: 120, checkpointed: 60, commits: 4, checkpoints: 1 },
  outputs: { summaries: 6, alerts: 1, heldBack: 0, pendingBytes: 0 },
  ownTopics: { summaries: 4, alerts: 1, statuses: 3, dropped: 0, waitingBytes: 0 },
  queries: { underWay: 1, opened: 9, refused: 2, late: 0, abandoned: 3 },
  posts: { keys: 9, bodies: 12, messages: 340, repeated: 2, refused: 1, noRoom: 0 },
  streams: { open: 1, opened: 3, refused: 0, events: 120, missed: 0, tailBytes: 4_096 },
  raw: {
    open: 1,
    answered: 2,
    readings: 300,
    ended: { done: 2, refused: 1, cancelled: 0 },
    unasked: 0,
  },
  outbox: {
    summaries: { records: 2, bytes: 800, bytesMax: 7_000, next: 7, merged: 3 },
    alerts: { records: 0, bytes: 0, bytesMax: 1_000, next: 2, merged: 0 },
    raw: { records: 0, bytes: 0, bytesMax: 500, next: 0, merged: 0 },
  },
  outboxRollup: { merged: 60, coarser: 10, readings: 600 },
  outboxDropped: { temp: { records: 5, readings: 50 } },
  savepoints: undefined,
  links: [
    {
      name: "lte",
      sentBytes: 40_000,
      receivedBytes: 2_000,
      bandwidth: 4_000,
      quota: {
        period: "2026-11",
        usedBytes: 42_000,
        bytes: 50_000_000,
        configuredBytes: undefined,
        reserveBytes: 5_000_000,
      },
      held: { summaries: "outside-hours" },
    },
  ],
  uplinks: [
    {
      name: "file",
      state: "waiting",
      trouble: undefined,
      paused: undefined,
      links: [{ link: "lte", isUp: false }],
      lanes: {
        alerts: { ...pump, next: 1, delivered: 1, behind: 1 },
        raw: { ...pump, state: "idle" },
        backfill: { ...pump, state: "idle" },
        summaries: {
          ...pump,
          state: "waiting",
          next: 9,
          delivered: 4,
          behind: 3,
          oldest: millis(40_000),
        },
      },
    },
  ],
  deadLetters: { kept: 1, total: 1 },
  tables: {
    tables: 3,
    bytes: 4_096,
    inTables: 2_000,
    classes: [
      { class: undefined, tables: 2, bytes: 3_000, readings: 1_500 },
      { class: "vibration", tables: 1, bytes: 1_096, readings: 500 },
    ],
    tombstones: 0,
    inMemory: 100,
    through: position(2_500),
    counts: { flushed: 2_400, expired: 300, erased: 0, lost: 100 },
    damaged: [],
    unreadable: [],
    quarantined: [
      { id: 2, why: "damaged", reason: "/d/tables/table-0000000002.tbl: its end", readings: 100 },
    ],
    quarantine: { files: 1, bytes: 512 },
    flushes: 4,
    compactions: 1,
    bytesFlushed: 5_000,
    bytesCompacted: 3_000,
    trouble: undefined,
  },
  replayed: { frames: 0, rows: 0 },
  memory: { rssBytes: 70_000_000, heapUsedBytes: 12_000_000, ceiling: sampleCeiling },
  cpuSeconds: 1.25,
};

export const sampleLedger: LedgerView = {
  sources: [
    {
      source: "plant",
      messages: { received: 101, decoded: 100, deadLettered: 1, shed: 0 },
      readings: {
        decoded: 100,
        accepted: 97,
        duplicate: 2,
        quarantined: 1,
        rejected: 0,
        conflict: 0,
      },
      balanced: true,
    },
  ],
  pipelines: [
    {
      pipeline: "temperatures@2",
      accepted: 97,
      filtered: 7,
      refused: 0,
      late: 0,
      open: 20,
      closed: 70,
      windows: 6,
      corrections: 0,
      forced: 0,
      alerts: 0,
      suppressed: 0,
      sketchesLost: 0,
      balanced: true,
    },
  ],
  balanced: true,
};

const alert: Alert = {
  kind: "alert",
  pipeline: "outliers",
  key: [
    ["device", "<img src=x onerror=alert(1)>"],
    ["metric", "temperature"],
  ],
  time: millis(1_717_999_999_000),
  reason: "ewma_high",
  value: 99.5,
  score: 6.1,
  expected: 20.2,
  limit: 3.5,
};

const deadLetter: DeadLetterView = {
  number: 1,
  source: "plant",
  topic: "plant/a/p1/state",
  arrived: 1_717_999_998_000,
  reason: "json_invalid",
  offset: 3,
  payloadBytes: 4,
  payloadBase64: "e2Fi",
};

/** `status` is laid over the sample. */
export function sampleView(status: Partial<Status> = {}): AgentView {
  return {
    status: () => ({ ...sampleStatus, ...status }),
    ledger: () => sampleLedger,
    recentAlerts: () => [alert],
    deadLetters: ({ limit, before = Infinity }) =>
      [deadLetter].filter(({ number }) => number < before).slice(0, limit),
  };
}
