/**
 * /metrics: what Status and ledger hold, as Prometheus families. Nothing is counted here. Counters
 * end in _total and start again with the process, but those of the ledger, which go on across
 * restarts; base units are seconds and bytes.
 */

import { type PumpStatus, pumpStates } from "../../sync/pump-status.ts";
import type { LedgerView, PipelineLedger, SourceLedger } from "../../edge-ops/ledger.ts";
import { brokerFamilies } from "./broker-metrics.ts";
import { expositionOf, type Family, histogramSamples, type Sample } from "./exposition.ts";
import { degradedNames } from "../degraded-reason.ts";
import { doorFamilies } from "./door-metrics.ts";
import { bucketBoundsMs } from "./histogram.ts";
import { intakeLevels } from "../ingest/intake.ts";
import { frontLevels } from "../ingest/mqtt/front/front-counters.ts";
import type { HomeAssistantCounters } from "../home-assistant/home-assistant.ts";
import { linkFamilies, savepointFamilies } from "./link-metrics.ts";
import type { OwnTopicsCounters } from "../own-topics/own-topics-counters.ts";
import type { QueryCounters } from "../query/queries.ts";
import { remoteFamilies } from "../remote/remote-metrics.ts";
import { rawFamilies } from "../raw/raw-metrics.ts";
import { memoryLevels } from "../memory/memory-watch.ts";
import type { AgentState, Status } from "../status.ts";
import type { PostCounters } from "../ingest/post/posts.ts";
import type { StreamCounters } from "../stream/streams.ts";
import { tableFamilies } from "./table-metrics.ts";

/** The whole body of an answer. */
export function metricsText(status: Status, ledger: LedgerView): string {
  return expositionOf([
    ...processFamilies(status),
    ...frontFamilies(status.mqtt),
    ...doorFamilies(status),
    ...(status.http === undefined
      ? []
      : namedCounts({ prefix: "weir_http", about: "HTTP" }, status.http.counters, ["tokens"])),
    ...brokerFamilies(status.brokers),
    ...namedCounts({ prefix: "weir_intake", about: "Intake" }, status.intake, intakeLevels),
    ...logFamilies(status),
    ...tableFamilies(status),
    ...outputFamilies(status, ledger),
    ...ownFamilies(status.ownTopics),
    ...queryFamilies(status.queries),
    ...streamFamilies(status.streams),
    ...postFamilies(status.posts),
    ...uplinkFamilies(status),
    ...linkFamilies(status),
    ...savepointFamilies(status),
    ...rawFamilies(status.raw),
    ...remoteFamilies(status.remote),
    ...sourceFamilies(ledger.sources),
    ...pipelineFamilies(ledger.pipelines),
    gauge("weir_ledger_balanced", "Whether every message and reading is accounted for.", [
      { value: Number(ledger.balanced) },
    ]),
  ]);
}

const states: readonly AgentState[] = ["running", "degraded", "stopping", "failed"];

function processFamilies(status: Status): Family[] {
  const { agent, version, clock, cardinality, memory, startedAt, cpuSeconds } = status;
  return [
    gauge("weir_info", "The agent and its version.", [{ labels: { agent, version }, value: 1 }]),
    gauge(
      "weir_state",
      "1 for the state the agent is in.",
      states.map((state) => ({ labels: { state }, value: Number(state === status.state) })),
    ),
    gauge(
      "weir_degraded",
      "1 for each reason why the agent is degraded.",
      degradedNames.map((reason) => ({
        labels: { reason },
        value: Number(status.degraded.some(({ name }) => name === reason)),
      })),
    ),
    gauge("weir_clock_trusted", "Whether the gateway's clock is believed.", [
      { value: Number(clock.trusted) },
    ]),
    gauge(
      "weir_catalog_names",
      "Names that have an id.",
      Object.entries(cardinality).map(([kind, value]) => ({ labels: { kind }, value })),
    ),
    gauge("weir_process_start_time_seconds", "Start of the process since 1970.", [
      { value: startedAt / 1_000 },
    ]),
    gauge("weir_process_resident_memory_bytes", "Resident memory.", [{ value: memory.rssBytes }]),
    ...ceilingFamilies(memory.ceiling),
    gauge("weir_process_heap_bytes", "JavaScript heap in use.", [{ value: memory.heapUsedBytes }]),
    counter("weir_process_cpu_seconds_total", "CPU time.", [{ value: cpuSeconds }]),
  ];
}

function ceilingFamilies(ceiling: Status["memory"]["ceiling"]): Family[] {
  if (ceiling === undefined) return [];
  const { ceilingBytes, roomBytes, anonymousBytes = 0, level } = ceiling;
  return [
    gauge("weir_memory_ceiling_bytes", "Ceiling on memory.", [{ value: ceilingBytes }]),
    gauge("weir_memory_room_bytes", "What of it anonymous memory may have.", [
      { value: roomBytes },
    ]),
    gauge("weir_memory_anonymous_bytes", "What anonymous memory has.", [{ value: anonymousBytes }]),
    gauge("weir_memory_level", "0 easy, 1 tight, 2 short: new series are refused.", [
      { value: memoryLevels.indexOf(level) },
    ]),
  ];
}

function frontFamilies({ counters }: Status["mqtt"]): Family[] {
  if (counters === undefined) return [];
  const { protocolErrors, ...counts } = counters;
  return [
    ...namedCounts({ prefix: "weir_mqtt", about: "MQTT front" }, counts, frontLevels),
    counter(
      "weir_mqtt_protocol_error_total",
      "Connections closed for what they sent.",
      Object.entries(protocolErrors).map(([kind, value]) => ({ labels: { kind }, value })),
    ),
  ];
}

function logFamilies({ log, apply, replayed }: Status): Family[] {
  const { appendMs, damage } = log;
  return [
    gauge("weir_log_bytes", "Bytes of the log on disk.", [{ value: log.bytes }]),
    gauge("weir_log_start_position", "Oldest position in the log.", [{ value: log.start }]),
    gauge("weir_log_end_position", "Next position of the log.", [{ value: log.end }]),
    counter("weir_log_frames_total", "Frames appended.", [{ value: log.framesAppended }]),
    counter("weir_log_readings_total", "Readings appended.", [{ value: log.rowsAppended }]),
    {
      name: "weir_log_append_seconds",
      type: "histogram",
      help: "From sealing a frame to releasing its acknowledgements.",
      samples: histogramSamples({
        bounds: bucketBoundsMs.map((bound) => bound / 1_000),
        counts: appendMs.buckets,
        sum: appendMs.sum / 1_000,
      }),
    },
    gauge("weir_log_torn_bytes", "Bytes of a torn tail cut at start.", [
      { value: damage.tornBytes },
    ]),
    gauge("weir_log_lost_readings", "Readings found lost to damage at start.", [
      { value: damage.lostRows },
    ]),
    gauge("weir_log_replayed_readings", "Readings replayed at start.", [{ value: replayed.rows }]),
    gauge("weir_applied_position", "Position up to which the log is applied.", [
      { value: apply.applied },
    ]),
    gauge("weir_checkpoint_position", "Position of the newest checkpoint.", [
      { value: apply.checkpointed },
    ]),
    counter("weir_commits_total", "Commits of outputs.", [{ value: apply.commits }]),
    counter("weir_checkpoints_total", "Checkpoints of operator state.", [
      { value: apply.checkpoints },
    ]),
  ];
}

function outputFamilies(status: Status, ledger: LedgerView): Family[] {
  const { outputs, outbox, outboxRollup, outboxDropped, deadLetters } = status;
  const lanes = Object.entries(outbox);
  // From the start: a series that begins with its first event has nothing to rise from.
  const dropped = [
    ...ledger.pipelines
      .filter(({ pipeline }) => outboxDropped[pipeline] === undefined)
      .map(({ pipeline }) => [pipeline, { records: 0, readings: 0 }] as const),
    ...Object.entries(outboxDropped),
  ];
  return [
    counter("weir_outputs_total", "Records emitted by this process.", [
      { labels: { kind: "summary" }, value: outputs.summaries },
      { labels: { kind: "alert" }, value: outputs.alerts },
    ]),
    gauge("weir_outputs_pending_bytes", "Bytes of records that wait for their commit.", [
      { value: outputs.pendingBytes },
    ]),
    gauge(
      "weir_outbox_records",
      "Records that wait for an uplink.",
      lanes.map(([lane, { records }]) => ({ labels: { lane }, value: records })),
    ),
    gauge(
      "weir_outbox_bytes",
      "Bytes that wait for an uplink.",
      lanes.map(([lane, { bytes }]) => ({ labels: { lane }, value: bytes })),
    ),
    gauge(
      "weir_outbox_bytes_max",
      "Bytes that may wait.",
      lanes.map(([lane, { bytesMax }]) => ({ labels: { lane }, value: bytesMax })),
    ),
    gauge(
      "weir_outbox_next_sequence",
      "Sequence number of the next record.",
      lanes.map(([lane, { next }]) => ({ labels: { lane }, value: next })),
    ),
    counter(
      "weir_outbox_merged_total",
      "Summaries in the outbox that coarser ones took the place of, ever: it was filling up.",
      [{ value: outboxRollup.merged }],
    ),
    counter("weir_outbox_coarser_total", "Coarser summaries that took their place, ever.", [
      { value: outboxRollup.coarser },
    ]),
    counter(
      "weir_outbox_dropped_total",
      "Records dropped in the outbox because it was full, ever.",
      dropped.map(([pipeline, { records }]) => ({ labels: { pipeline }, value: records })),
    ),
    counter(
      "weir_outbox_dropped_readings_total",
      "Readings in them: what uplinks miss, and gap records say.",
      dropped.map(([pipeline, { readings }]) => ({ labels: { pipeline }, value: readings })),
    ),
    gauge("weir_dead_letters", "Dead letters kept.", [{ value: deadLetters.kept }]),
    counter("weir_dead_letters_total", "Dead letters ever.", [{ value: deadLetters.total }]),
  ];
}

function queryFamilies({ underWay, opened, ...ended }: QueryCounters): Family[] {
  return [
    gauge("weir_queries_under_way", "Queries under way.", [{ value: underWay }]),
    counter("weir_queries_total", "Queries that began.", [{ value: opened }]),
    counter(
      "weir_queries_unanswered_total",
      "Queries that were refused because too many were under way, took too long, or were left.",
      Object.entries(ended).map(([reason, value]) => ({ labels: { reason }, value })),
    ),
  ];
}

function streamFamilies({
  open,
  opened,
  refused,
  events,
  missed,
  tailBytes,
}: StreamCounters): Family[] {
  return [
    gauge("weir_streams_open", "Streams that are open.", [{ value: open }]),
    counter("weir_streams_total", "Streams that began.", [{ value: opened }]),
    counter("weir_streams_refused_total", "Streams that were refused: too many were open.", [
      { value: refused },
    ]),
    counter("weir_stream_events_total", "Records given to streams.", [{ value: events }]),
    counter("weir_stream_missed_total", "Records that were not kept when a stream came for them.", [
      { value: missed },
    ]),
    gauge("weir_stream_tail_bytes", "Records kept for streams.", [{ value: tailBytes }]),
  ];
}

function postFamilies({
  keys,
  bodies,
  messages,
  repeated,
  refused,
  noRoom,
}: PostCounters): Family[] {
  const outcomes = { durable: bodies, repeated, refused, no_room: noRoom };
  return [
    counter(
      "weir_posts_total",
      "Bodies posted over HTTP, by what they were told: durable, repeated under their key, refused, or to come again.",
      Object.entries(outcomes).map(([outcome, value]) => ({ labels: { outcome }, value })),
    ),
    counter("weir_post_messages_total", "Messages of bodies that were told durable.", [
      { value: messages },
    ]),
    gauge("weir_post_keys", "Keys of posted bodies that are remembered.", [{ value: keys }]),
  ];
}

function ownFamilies({
  waitingBytes,
  dropped,
  homeAssistant,
  ...published
}: OwnTopicsCounters): Family[] {
  return [
    counter(
      "weir_own_published_total",
      "Messages of the agent's own on its embedded broker.",
      Object.entries(published).map(([kind, value]) => ({ labels: { kind }, value })),
    ),
    counter("weir_own_dropped_total", "Records not published there: too much waited.", [
      { value: dropped },
    ]),
    gauge("weir_own_waiting_bytes", "Bytes of records that wait to be published there.", [
      { value: waitingBytes },
    ]),
    ...(homeAssistant === undefined ? [] : homeAssistantFamilies(homeAssistant)),
  ];
}

function homeAssistantFamilies({ entities, published, refused }: HomeAssistantCounters): Family[] {
  return [
    gauge("weir_home_assistant_entities", "Entities that Home Assistant is told of.", [
      { value: entities },
    ]),
    counter("weir_home_assistant_published_total", "Messages to Home Assistant.", [
      { value: published },
    ]),
    counter(
      "weir_home_assistant_refused_total",
      "Records of keys that Home Assistant is not told of: there are too many entities.",
      [{ value: refused }],
    ),
  ];
}

function uplinkFamilies({ uplinks, clock }: Status): Family[] {
  const ends = uplinks.flatMap(({ name, lanes }) =>
    Object.entries(lanes).map(([lane, pump]) => ({ labels: { uplink: name, lane }, pump })),
  );
  const perLane = (valueOf: (pump: PumpStatus) => number | undefined): Sample[] =>
    ends.flatMap(({ labels, pump }) => {
      const value = valueOf(pump);
      return value === undefined ? [] : [{ labels, value }];
    });
  const fact =
    (name: string) =>
    ({ facts }: PumpStatus): number | undefined =>
      typeof facts[name] === "number" ? facts[name] : undefined;
  return [
    gauge(
      "weir_uplink_healthy",
      "Whether the uplink was reached (untried is not) and runs without trouble, or has nothing to do.",
      perLane(({ state, trouble }) =>
        Number((state === "running" || state === "idle") && trouble === undefined),
      ),
    ),
    gauge(
      "weir_uplink_state",
      "1 for the state the lane is in; halted: another agent uses its identity; untried: nothing was there to send yet.",
      ends.flatMap(({ labels, pump }) =>
        pumpStates.map((state) => ({
          labels: { ...labels, state },
          value: Number(state === pump.state),
        })),
      ),
    ),
    counter(
      "weir_uplink_incidents_total",
      "Times something upstream was found that a person should know.",
      perLane(({ incidents }) => incidents.count),
    ),
    counter(
      "weir_uplink_missing_total",
      "Records that could not be read back from the outbox.",
      perLane(({ missing }) => missing),
    ),
    counter(
      "weir_uplink_delivered_total",
      "Records delivered since the process began.",
      perLane(({ delivered }) => delivered),
    ),
    counter(
      "weir_uplink_deliveries_total",
      "Deliveries that succeeded: transactions, or writes to a file.",
      perLane(({ deliveries }) => deliveries),
    ),
    counter(
      "weir_uplink_failures_total",
      "Tries that failed.",
      perLane(({ failures }) => failures),
    ),
    gauge(
      "weir_uplink_lag_records",
      "Records that are not delivered yet.",
      perLane(({ behind }) => behind),
    ),
    gauge(
      "weir_uplink_oldest_age_seconds",
      "Age of the oldest record that is not delivered, by its event time.",
      perLane(({ oldest }) =>
        oldest === undefined ? 0 : Math.max(0, (clock.now - oldest) / 1_000),
      ),
    ),
    counter(
      "weir_uplink_sent_bytes_total",
      "Bytes sent on the network, as far as the uplink has one.",
      perLane(fact("sentBytes")),
    ),
    counter(
      "weir_uplink_unheard_total",
      "Messages that a broker took although nobody was subscribed to their topic.",
      perLane(fact("unheard")),
    ),
    counter(
      "weir_uplink_received_bytes_total",
      "Bytes received from the network, as far as the uplink has one.",
      perLane(fact("receivedBytes")),
    ),
  ];
}

// ---- the ledger ----

function sourceFamilies(sources: readonly SourceLedger[]): Family[] {
  const outcomes = (["decoded", "deadLettered", "shed"] as const).map((outcome) => ({
    outcome,
    of: (source: SourceLedger) => source.messages[outcome],
  }));
  const fates = (["accepted", "duplicate", "quarantined", "rejected"] as const).map((outcome) => ({
    outcome,
    of: (source: SourceLedger) => source.readings[outcome],
  }));
  const perSource = (parts: typeof outcomes | typeof fates): Sample[] =>
    sources.flatMap((source) =>
      parts.map(({ outcome, of }) => ({
        labels: { source: source.source, outcome: snakeCase(outcome) },
        value: of(source),
      })),
    );
  return [
    counter("weir_source_messages_total", "Messages by what became of them.", perSource(outcomes)),
    counter("weir_source_readings_total", "Readings by what became of them.", perSource(fates)),
    counter(
      "weir_source_conflicts_total",
      "Accepted readings that contradict another of the same time.",
      sources.map(({ source, readings }) => ({ labels: { source }, value: readings.conflict })),
    ),
  ];
}

function pipelineFamilies(pipelines: readonly PipelineLedger[]): Family[] {
  const total = (name: string, help: string, of: (row: PipelineLedger) => number): Family =>
    counter(
      `weir_pipeline_${name}_total`,
      help,
      pipelines.map((row) => ({ labels: { pipeline: row.pipeline }, value: of(row) })),
    );
  const fates = ["filtered", "refused", "late", "open", "closed"] as const;
  return [
    total("accepted", "Readings given to the pipeline.", (row) => row.accepted),
    gauge(
      "weir_pipeline_readings",
      "Readings given to the pipeline by where they are now; they add up to accepted.",
      pipelines.flatMap((row) =>
        fates.map((fate) => ({ labels: { pipeline: row.pipeline, fate }, value: row[fate] })),
      ),
    ),
    total("windows", "Windows closed.", (row) => row.windows),
    total("corrections", "Windows emitted again.", (row) => row.corrections),
    total("forced", "Windows closed before their time.", (row) => row.forced),
    total("alerts", "Alerts.", (row) => row.alerts),
    total("alerts_suppressed", "Alerts beyond what may leave.", (row) => row.suppressed),
    total("sketches_lost", "Summaries without their sketch: no room.", (row) => row.sketchesLost),
  ];
}

// ---- counts by name ----

/** One family per count: those of `levels` are what there is now, the others only grow. */
function namedCounts<Name extends string>(
  { prefix, about }: { readonly prefix: string; readonly about: string },
  counts: Readonly<Record<Name, number>>,
  levels: readonly Name[],
): Family[] {
  const names = new Set<string>(levels);
  return Object.entries<number>(counts).map(([name, value]) => {
    const words = snakeCase(name);
    const help = `${about}: ${words.replaceAll("_", " ")}`;
    if (names.has(name)) return gauge(`${prefix}_${words}`, `${help} now.`, [{ value }]);
    return counter(`${prefix}_${words}_total`, `${help}.`, [{ value }]);
  });
}

function snakeCase(name: string): string {
  return name
    .replace(/[^A-Za-z0-9]+/g, "_")
    .replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, type: "counter", help, samples };
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, type: "gauge", help, samples };
}
