/**
 * What the agent says about itself: the shape of /v1/status, and the source of /metrics and of the
 * terminal view. Plain data, made fresh for each request.
 */

import type { CertificateStatus } from "../core/doors.ts";
import type { Alert } from "../core/record.ts";
import type { LedgerView } from "../edge-ops/ledger.ts";
import type { ReserveStatus } from "../store/care/reserve.ts";
import type { TableStoreStatus } from "../store/tables/table-store-status.ts";
import type { RollupStatus } from "../store/outbox/outbox-rollup.ts";
import type { UplinkStatus } from "../sync/drain.ts";
import type { PublisherStatus } from "../sync/kafka/savepoints/publisher.ts";
import type { LinkStatus } from "../sync/link/link.ts";
import type { DegradedReason } from "./degraded-reason.ts";
import type { GuardCounters } from "./http/guard.ts";
import type { TokenStatus } from "./http/tokens.ts";
import type { IntakeCounters } from "./ingest/intake.ts";
import type { AccessStatus } from "./ingest/mqtt/access/access.ts";
import type { FrontStatus } from "./ingest/mqtt/front/front-counters.ts";
import type { ListenerStatus } from "./ingest/mqtt/front/listeners.ts";
import type { BrokerStatus } from "./ingest/mqtt/subscriber/broker-counters.ts";
import type { MemoryStatus } from "./memory/memory-watch.ts";
import type { OwnTopicsCounters } from "./own-topics/own-topics-counters.ts";
import type { FlashCapStatus } from "./flash/flash-cap.ts";
import type { ResendCounts } from "./resends.ts";
import type { WearStatus } from "./flash/wear-watch.ts";
import type { ChannelStatus } from "./remote/channel.ts";
import type { RemoteStatus } from "./remote/remote-status.ts";
import type { Inventory } from "./inventory.ts";
import type { QueryCounters } from "./query/queries.ts";
import type { RawSideCounters } from "./raw/raw-side-counters.ts";
import type { PostCounters } from "./ingest/post/posts.ts";
import type { StreamCounters } from "./stream/streams.ts";

export type AgentState = "running" | "degraded" | "stopping" | "failed";

export type Status = RollupStatus & {
  readonly agent: string;
  readonly version: string;
  readonly inventory: Inventory;
  readonly state: AgentState;
  /** Why it is not plainly running: one sentence each. */
  readonly reasons: readonly string[];
  /** The same by name, each with its sentence. */
  readonly degraded: readonly DegradedReason[];
  /** What a person should know although nothing is broken: one sentence each. */
  readonly notices: readonly string[];
  readonly startedAt: number;
  readonly clock: { readonly now: number; readonly trusted: boolean };
  readonly dataDirectory: string;
  readonly mqtt: {
    readonly host: string;
    readonly port: number;
    /** All of them; host and port are those of the first. */
    readonly listeners: readonly ListenerStatus[];
    /** undefined while it does not listen. */
    readonly counters: FrontStatus | undefined;
    /** Who may what, and who tried. */
    readonly access: AccessStatus;
  };
  /** undefined where it does not listen. */
  readonly http:
    | {
        readonly host: string;
        readonly port: number;
        readonly tokens: readonly TokenStatus[];
        readonly counters: GuardCounters;
      }
    | undefined;
  /** Of our listeners. */
  readonly certificates: readonly CertificateStatus[];
  /** Brokers elsewhere that sources take from. */
  readonly brokers: readonly BrokerStatus[];
  readonly intake: IntakeCounters;
  readonly cardinality: {
    readonly sources: number;
    readonly devices: number;
    readonly series: number;
    readonly symbols: number;
  };
  readonly log: {
    readonly start: number;
    readonly end: number;
    readonly bytes: number;
    readonly framesAppended: number;
    readonly rowsAppended: number;
    /** From sealing a frame to releasing its acknowledgements. */
    readonly appendMs: {
      readonly p50: number;
      readonly p99: number;
      readonly count: number;
      readonly sum: number;
      readonly buckets: readonly number[];
    };
    /** Found at start: bytes of a torn tail that were cut, rows lost to damage. */
    readonly damage: {
      readonly tornBytes: number;
      readonly lostRows: number;
      readonly places: readonly string[];
    };
  };
  /** Where accepted readings are. */
  readonly tables: TableStoreStatus;
  /** What is written to the device of the data directory; undefined where it is not counted. */
  readonly wear: WearStatus | undefined;
  /** The file that gives its space up when the disk is full; undefined where none is kept. */
  readonly reserve: ReserveStatus | undefined;
  /** How the cap on writes is kept; undefined where there is none. */
  readonly flash: FlashCapStatus | undefined;
  /** Readings older than the ring of duplicates, looked up among those that are stored. */
  readonly resends: ResendCounts;
  readonly apply: {
    readonly applied: number;
    readonly checkpointed: number;
    readonly commits: number;
    readonly checkpoints: number;
  };
  readonly outputs: {
    readonly summaries: number;
    readonly alerts: number;
    readonly heldBack: number;
    readonly pendingBytes: number;
  };
  /** Published on the embedded broker by the agent itself. */
  readonly ownTopics: OwnTopicsCounters;
  readonly queries: QueryCounters;
  readonly streams: StreamCounters;
  /** Bodies that were posted over HTTP. */
  readonly posts: PostCounters;
  /** Requests for raw readings, and commands that ask for them. */
  readonly raw: RawSideCounters;
  readonly outbox: Readonly<
    Record<
      string,
      {
        readonly records: number;
        readonly bytes: number;
        /** Its share of the outbox. */
        readonly bytesMax: number;
        readonly next: number;
        /** Records that others took the place of, among those that wait. */
        readonly merged: number;
      }
    >
  >;
  readonly uplinks: readonly UplinkStatus[];
  readonly links: readonly LinkStatus[];
  /** Sent to Kafka for who replaces the gateway; undefined where none are. */
  readonly savepoints: PublisherStatus | undefined;
  /** Configuration from afar; undefined where none may come. */
  readonly remote: (RemoteStatus & { readonly channels: readonly ChannelStatus[] }) | undefined;
  readonly deadLetters: { readonly kept: number; readonly total: number };
  readonly replayed: { readonly frames: number; readonly rows: number };
  readonly memory: {
    readonly rssBytes: number;
    readonly heapUsedBytes: number;
    /** How the ceiling is kept; undefined where there is none. */
    readonly ceiling: MemoryStatus | undefined;
  };
  readonly cpuSeconds: number;
};

/** What the HTTP API and the terminal view may ask of a running agent. */
export interface AgentView {
  status(): Status;
  ledger(): LedgerView;
  recentAlerts(): readonly Alert[];
  deadLetters(asked: DeadLettersAsked): readonly DeadLetterView[];
}

/** The newest below the number `before`, or of all; newest first. */
export type DeadLettersAsked = { readonly limit: number; readonly before?: number };

export type DeadLetterView = {
  readonly number: number;
  readonly source: string;
  readonly topic: string;
  readonly arrived: number;
  readonly reason: string;
  readonly offset: number;
  /** The field that begins there, as `time` and `ignore` name it; absent where none does. */
  readonly field?: string;
  readonly payloadBytes: number;
  readonly payloadBase64: string;
};
