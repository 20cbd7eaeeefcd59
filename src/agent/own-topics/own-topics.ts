/**
 * The agent's own topics on its embedded broker: what it has to say to whoever is near.
 *
 *   weir/<agent>/summary/<pipeline>   each summary, once its commit is durable
 *   weir/<agent>/alert/<pipeline>     each alert, the same
 *   weir/<agent>/status               retained, renewed every `statusMs`
 *   weir/<agent>/state/...            for Home Assistant, where it is told (home-assistant.ts)
 *
 *   commit durable --> committed(outbox) --> waiting, by lane --> broker, a few in each turn
 *
 * Records come from the commit that made them durable, not from the outbox: this is for those who
 * are there now. Whoever needs each record has an uplink, with a cursor of its own; a cursor here
 * would promise nothing more, as the broker keeps sessions in memory only. Nobody subscribed: a
 * record costs nothing, not even the look at its pipeline.
 *
 * Bounds: what waits is bounded per lane, in bytes; what comes beyond is not published, and counted.
 * Summaries wait for clients that read slowly, a while; alerts do not wait for them.
 */

import type { Clock } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { type OutputQueue, outputQueues } from "../../store/outbox/lane.ts";
import type { OutboxWriter } from "../../store/outbox/outbox.ts";
import { isComplete } from "../../store/outbox/record-id.ts";
import { pipelineOfRecord } from "../../store/outbox/record-pipeline.ts";
import { encodeJson } from "../../store/state/stored-json.ts";
import type { Config, OwnTopicsConfig } from "../config/config.ts";
import { HomeAssistant, type HomeAssistantOptions } from "../home-assistant/home-assistant.ts";
import type { Status } from "../status.ts";
import { version } from "../version.ts";
import { type LocalBroker, ownTopic } from "./local-broker.ts";
import type { OwnTopicsCounters } from "./own-topics-counters.ts";
import { ReaderPatience } from "./reader-patience.ts";
import { WaitingRecords } from "./waiting-records.ts";

/** What the agent says of itself, without its envelope. */
export type OwnStatus = {
  readonly state: string;
  readonly version: string;
  readonly startedAt: number;
  readonly reasons: readonly string[];
  readonly notices: readonly string[];
} & Partial<Pick<Status, "inventory" | "remote" | "uplinks">>;

type OwnTopicsOptions = {
  readonly agent: string;
  readonly config: OwnTopicsConfig;
  readonly clock: Clock;
  readonly status: () => OwnStatus;
  /** What Home Assistant is told of, and where that is stored; absent: it is not told. */
  readonly homeAssistant?: Pick<HomeAssistantOptions, "version" | "pipelines" | "kv" | "store">;
};

const nouns: Readonly<Record<OutputQueue, string>> = { alerts: "alert", summaries: "summary" };

/** Those of a configuration. Faults: STORE_FAILED, where Home Assistant is told. */
export function openOwnTopics({
  config,
  kv,
  store,
  ...options
}: {
  readonly config: Config;
} & Pick<HomeAssistantOptions, "clock" | "kv" | "store"> &
  Pick<OwnTopicsOptions, "status">): OwnTopics {
  const { agent, ownTopics, pipelines } = config;
  const homeAssistant = { version, pipelines, kv, store };
  return new OwnTopics({ ...options, agent, config: ownTopics, homeAssistant });
}

export class OwnTopics {
  readonly #options: OwnTopicsOptions;
  readonly #waiting: Readonly<Record<OutputQueue, WaitingRecords>> = {
    alerts: new WaitingRecords(),
    summaries: new WaitingRecords(),
  };
  readonly #published: Record<OutputQueue, number> = { alerts: 0, summaries: 0 };
  #broker: LocalBroker | undefined;
  #statuses = 0;
  #dropped = 0;
  #cancelRun: (() => void) | undefined;
  #cancelStatus: (() => void) | undefined;
  readonly #patience: ReaderPatience;
  readonly #homeAssistant: HomeAssistant | undefined;

  /** Faults: STORE_FAILED, where Home Assistant is told. */
  constructor(options: OwnTopicsOptions) {
    this.#options = options;
    this.#patience = new ReaderPatience(options.clock);
    const { agent, config, clock, homeAssistant } = options;
    this.#homeAssistant =
      config.homeAssistant &&
      homeAssistant &&
      new HomeAssistant({ agent, clock, config: config.homeAssistant, ...homeAssistant });
  }

  get counters(): OwnTopicsCounters {
    const { alerts, summaries } = this.#waiting;
    return {
      ...this.#published,
      statuses: this.#statuses,
      dropped: this.#dropped,
      waitingBytes: alerts.bytes + summaries.bytes,
      ...(this.#homeAssistant && { homeAssistant: this.#homeAssistant.counters }),
    };
  }

  /** From now on there is a broker to publish on. */
  open(broker: LocalBroker): void {
    this.#broker = broker;
    this.#renewStatus();
    this.#homeAssistant?.open(broker);
  }

  /** These records are durable. They are read only, now and later. */
  committed(outbox: OutboxWriter): void {
    this.#homeAssistant?.committed(outbox);
    if (this.#broker === undefined || this.#broker.subscriptionCount === 0) return;
    for (const lane of outputQueues) {
      if (this.#options.config[lane]) this.#add(this.#broker, lane, outbox.records(lane));
    }
    if (this.#cancelRun === undefined) this.#run();
  }

  /** Publishes what waits and the last status, and lets the broker deliver it for a moment. */
  async close(): Promise<void> {
    const broker = this.#broker;
    this.#cancelRun?.();
    this.#cancelStatus?.();
    await this.#homeAssistant?.close();
    if (broker === undefined) return;
    for (const lane of outputQueues) while (this.#publishNext(broker, lane) > 0);
    this.#broker = undefined;
    const { config, clock } = this.#options;
    if (config.statusMs === undefined) return;
    this.#publishStatus(broker, "offline");
    const until = clock.monotonic() + limits.ownPatienceMs;
    while (broker.backlogBytes > 0 && clock.monotonic() < until) {
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
  }

  // ---- records ----

  #add(broker: LocalBroker, lane: OutputQueue, records: readonly Uint8Array[]): void {
    const { agent } = this.#options;
    const waiting = this.#waiting[lane];
    /** By pipeline; undefined where nobody subscribed. */
    const topics = new Map<string, string | undefined>();
    for (const record of records) {
      const pipeline = pipelineOfRecord(record);
      // Markers are for who keeps records; here only those see them who are there.
      if (pipeline === undefined || isComplete(record)) continue;
      let topic = topics.get(pipeline);
      if (topic === undefined) {
        if (topics.has(pipeline)) continue;
        const named = ownTopic(agent, `${nouns[lane]}/${pipeline}`);
        topic = broker.isSubscribed(named) ? named : undefined;
        topics.set(pipeline, topic);
        if (topic === undefined) continue;
      }
      if (waiting.bytes + record.length > limits.ownWaitingBytesMax) {
        this.#dropped += 1;
        continue;
      }
      waiting.add({ topic, record });
    }
  }

  /** Publishes some of what waits, alerts first; the rest in later turns. */
  #run(): void {
    this.#cancelRun = undefined;
    const broker = this.#broker;
    if (broker === undefined) return;
    let left = limits.ownTurnBytes;
    for (const lane of outputQueues) {
      while (left > 0 && !this.#mustWait(broker, lane)) {
        const bytes = this.#publishNext(broker, lane);
        if (bytes === 0) break;
        left -= bytes;
      }
    }
    if (this.counters.waitingBytes === 0) return;
    const { clock } = this.#options;
    // Between two turns clients read; when nothing could be published, a turn would bring nothing.
    const delayMs = left > 0 ? limits.ownLookMs : 0;
    this.#cancelRun = clock.after(delayMs, () => this.#run());
  }

  #mustWait(broker: LocalBroker, lane: OutputQueue): boolean {
    return lane === "alerts" ? broker.backlogged : this.#patience.mustWait(broker);
  }

  /** The bytes of what was published; 0 where nothing waits. */
  #publishNext(broker: LocalBroker, lane: OutputQueue): number {
    const next = this.#waiting[lane].take();
    if (next === undefined) return 0;
    broker.publish(next.topic, next.record, { retain: false, qos: 1 });
    this.#published[lane] += 1;
    return next.record.length;
  }

  // ---- status ----

  #renewStatus(): void {
    const { config, clock } = this.#options;
    if (this.#broker === undefined || config.statusMs === undefined) return;
    this.#publishStatus(this.#broker);
    this.#cancelStatus = clock.after(config.statusMs, () => this.#renewStatus());
  }

  #publishStatus(broker: LocalBroker, state?: "offline"): void {
    const { agent, clock, status } = this.#options;
    const payload = statusPayload(agent, { ...status(), time: clock.now() }, state);
    broker.publish(ownTopic(agent, "status"), payload, { retain: true, qos: 1 });
    this.#statuses += 1;
  }
}

/** Documented in docs/format/mqtt.md. `state` overrides what the status says. */
export function statusPayload(
  agent: string,
  status: OwnStatus & { readonly time?: number },
  state: string = status.state,
): Uint8Array {
  const { version, time, startedAt, reasons, notices, inventory, remote, uplinks } = status;
  const shown = notices.slice(0, limits.ownNoticesMax);
  return encodeJson({
    v: 1,
    kind: "status",
    agent,
    online: state !== "offline",
    state,
    version,
    ...(time === undefined ? {} : { time }),
    startedAt,
    reasons,
    notices: shown,
    noticesLeftOut: notices.length - shown.length,
    ...(inventory === undefined ? {} : { inventory }),
    ...(remote === undefined ? {} : { configuration: configurationOf(remote) }),
    ...(uplinks === undefined ? {} : { waiting: waitingOf(uplinks) }),
  });
}

/** Version and digest are of what came from afar; without them the local file stands alone. */
function configurationOf({ inForce, trial, highest }: NonNullable<Status["remote"]>): object {
  return { ...inForce, trial: trial !== undefined, highest };
}

/** Records that uplinks do not have yet, and the event time of the oldest of them. */
function waitingOf(uplinks: Status["uplinks"]): object {
  const lanes = uplinks.flatMap((uplink) => Object.values(uplink.lanes));
  const oldest = lanes.flatMap(({ oldest: time }) => (time === undefined ? [] : [time]));
  return {
    records: lanes.reduce((sum, { behind }) => sum + behind, 0),
    ...(oldest.length === 0 ? {} : { oldest: Math.min(...oldest) }),
  };
}
