/**
 * Home Assistant finds what this agent computes: on the embedded broker each device has a retained
 * message that names its entities, and each pipeline and key a retained state.
 *
 *   commit durable --> committed(outbox) --> subject known? --no--> device told anew, stored
 *                                              | yes                     |
 *                                              v                         v
 *                                           its state ------> latest messages --> broker
 *   birth topic: "online" --> every device again, then what was taken back is forgotten
 *
 * A subject (pipeline and key) is known from its first record on, also after a restart: what was told is
 * stored (told.ts). At a start what its pipeline does not give any more is taken back; at most
 * limits.homeAssistantEntitiesMax entities are told, the rest is counted. Of each topic the newest message
 * waits, so memory is bounded by the entities, however slowly anybody reads.
 *
 * Why a state of its own for each key, and why alerts are states here: decision 0035.
 */

import type { Clock, Kv } from "../../core/doors.ts";
import { nameOfTags } from "../../core/catalog.ts";
import { isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { Alert, Summary } from "../../core/record.ts";
import { configuredName, type PipelineSpec } from "../../edge-ops/spec.ts";
import { outputQueues } from "../../store/outbox/lane.ts";
import type { OutboxWriter } from "../../store/outbox/outbox.ts";
import { decodeRecord } from "../../store/outbox/record-codec.ts";
import { idOf, pipelineIn } from "../../store/outbox/record-id.ts";
import { percentEncoded } from "../../store/outbox/record-text.ts";
import type { StateStore } from "../../store/state/state-store.ts";
import { encodeJson } from "../../store/state/stored-json.ts";
import type { HomeAssistantConfig } from "../config/config.ts";
import type { LocalBroker } from "../own-topics/local-broker.ts";
import {
  type Components,
  componentId,
  componentsOf,
  devicePayload,
  discoveryTopic,
  gatewayComponents,
  platformOf,
  type Teller,
} from "./discovery.ts";
import { LatestMessages } from "./latest-messages.ts";
import { type DeviceName, fieldsOf, type Subject, stateTopic, subjectOf } from "./subject.ts";
import { readTold, type Told, writeOfTold } from "./told.ts";

export type HomeAssistantOptions = {
  readonly agent: string;
  /** Of weir. */
  readonly version: string;
  readonly config: HomeAssistantConfig;
  readonly pipelines: readonly PipelineSpec[];
  readonly clock: Clock;
  readonly kv: Pick<Kv, "range">;
  readonly store: Pick<StateStore, "advance">;
};

export type HomeAssistantCounters = {
  /** That it is told of, the gateway's own left out. */
  readonly entities: number;
  /** Messages, since the start. */
  readonly published: number;
  /** Records of keys for which there was no room, since the start. */
  readonly refused: number;
};

/** Of a subject, or of what is left of one. */
type Entry = {
  told: Told;
  /** Undefined where nothing of it is left but ids. */
  readonly subject: Subject | undefined;
  readonly components: Components;
  /** Start of the newest window that was published. */
  newest: number;
  cancelOff: (() => void) | undefined;
};

const gateway: DeviceName = { id: "gateway", name: "" };

export class HomeAssistant {
  readonly #options: HomeAssistantOptions;
  readonly #teller: Teller;
  /** Those that are told of, by name. */
  readonly #specs: ReadonlyMap<string, PipelineSpec>;
  readonly #entries = new Map<string, Entry>();
  /** Those that are told of, by what ids of records begin with; see nameOf. */
  readonly #byName = new Map<string, Entry>();
  /** By the id of a device. */
  readonly #devices = new Map<string, Set<Entry>>();
  readonly #unsaved = new Map<string, Told>();
  #saving: Promise<void> | undefined;
  #messages: LatestMessages | undefined;
  #entities = 0;
  #refused = 0;
  #cancelAgain: (() => void) | undefined;
  /** By the monotonic clock. */
  #againFrom = 0;

  /** Faults: STORE_FAILED. */
  constructor(options: HomeAssistantOptions) {
    const { agent, version, config, pipelines } = options;
    const { prefix, units } = config;
    this.#options = options;
    this.#teller = { agent, version, prefix, units };
    const isTold = ({ name }: PipelineSpec): boolean =>
      config.pipelines.length === 0 || config.pipelines.includes(name);
    this.#specs = new Map(pipelines.filter(isTold).map((spec) => [spec.name, spec]));
    for (const told of readTold(options.kv)) this.#restore(told);
  }

  get counters(): HomeAssistantCounters {
    return {
      entities: this.#entities,
      published: this.#messages?.published ?? 0,
      refused: this.#refused,
    };
  }

  /** From now on there is a broker to publish on, and to hear from. */
  open(broker: LocalBroker): void {
    const messages = new LatestMessages(broker, this.#options.clock);
    this.#messages = messages;
    broker.subscribe(this.#options.config.birth, (payload) => this.#heard(payload));
    this.#tellAll();
    for (const { subject } of this.#entries.values()) {
      // What it was before, nobody knows any more.
      if (subject?.kind === "alert") this.#publish(subject, { state: "OFF" });
    }
    this.#save();
  }

  /** These records are durable. They are read only, now. */
  committed(outbox: OutboxWriter): void {
    if (this.#messages === undefined) return;
    for (const queue of outputQueues) {
      for (const record of outbox.records(queue)) this.#take(record);
    }
    this.#save();
  }

  /** Publishes what waits, and stores what is not stored. */
  async close(): Promise<void> {
    this.#cancelAgain?.();
    for (const { cancelOff } of this.#entries.values()) cancelOff?.();
    this.#messages?.close();
    this.#messages = undefined;
    await this.#saving;
    this.#save();
    await this.#saving;
  }

  // ---- records ----

  #take(record: Uint8Array): void {
    const id = idOf(record);
    if (id?.kind !== "summary" && id?.kind !== "alert") return;
    const named = nameIn(id.name);
    const known = this.#byName.get(named);
    if (known === undefined && !this.#mayAdd(id.name)) return;
    if (id.kind === "summary" && id.start < (known?.newest ?? Number.NEGATIVE_INFINITY)) return;
    const decoded = decodeRecord(record, "a record").record;
    if (decoded.kind !== "summary" && decoded.kind !== "alert") return;
    const entry = known ?? this.#add(named, decoded);
    if (entry?.subject === undefined) return;
    if (decoded.kind === "summary") {
      entry.newest = decoded.start;
      this.#publish(entry.subject, summaryState(decoded, entry.told.fields));
    } else {
      this.#alerted(entry, entry.subject, decoded);
    }
  }

  #mayAdd(name: string): boolean {
    if (!this.#specs.has(configuredName(pipelineIn(name)))) return false;
    if (this.#entities < limits.homeAssistantEntitiesMax) return true;
    this.#refused += 1;
    return false;
  }

  /** Undefined where there is no room for it, or nothing of it to tell. */
  #add(named: string, record: Summary | Alert): Entry | undefined {
    const { pipeline, kind, key } = record;
    // A window that was withdrawn is no reason to tell of it.
    if (record.kind === "summary" && record.count === 0) return undefined;
    const subject = subjectOf({ pipeline, kind, key });
    const spec = this.#specs.get(subject.pipeline);
    const fields = fieldsOf(subject, spec);
    if (spec === undefined || fields.length === 0) return undefined;
    if (this.#entities + fields.length > limits.homeAssistantEntitiesMax) {
      this.#refused += 1;
      return undefined;
    }
    const before = this.#entries.get(subject.id);
    const told: Told = {
      id: subject.id,
      kind,
      device: subject.device.id,
      about: { pipeline, key },
      fields,
      gone: (before?.told.gone ?? []).filter((field) => !fields.includes(field)),
    };
    const entry = this.#enter(told, subject, spec);
    this.#byName.set(named, entry);
    this.#unsaved.set(told.id, told);
    this.#tell(subject.device.id);
    return entry;
  }

  #alerted(entry: Entry, subject: Subject, alert: Alert): void {
    const { time, reason, value, score, expected, limit } = alert;
    const facts = { time, reason, value, score, expected, limit };
    this.#publish(subject, { state: "ON", ...facts });
    entry.cancelOff?.();
    entry.cancelOff = this.#options.clock.after(limits.homeAssistantAlertMs, () => {
      entry.cancelOff = undefined;
      this.#publish(subject, { state: "OFF", ...facts });
    });
  }

  #publish(subject: Subject, state: object): void {
    this.#messages?.set(stateTopic(this.#options.agent, subject), () => encodeJson(state));
  }

  // ---- what it is told ----

  #restore(stored: Told): void {
    const subject = stored.about && subjectOf({ kind: stored.kind, ...stored.about });
    const spec = subject && this.#specs.get(subject.pipeline);
    const fields = subject === undefined ? [] : fieldsOf(subject, spec);
    const gone = [...new Set([...stored.gone, ...stored.fields])].filter(
      (field) => !fields.includes(field),
    );
    const told = { ...stored, fields, gone };
    const isLeft = fields.length > 0;
    const entry = this.#enter(told, isLeft ? subject : undefined, isLeft ? spec : undefined);
    if (isLeft && subject !== undefined) this.#byName.set(nameOf(subject), entry);
    if (String(fields) !== String(stored.fields)) this.#unsaved.set(told.id, told);
  }

  #enter(told: Told, subject: Subject | undefined, spec: PipelineSpec | undefined): Entry {
    const components =
      subject === undefined || spec === undefined
        ? {}
        : componentsOf(this.#teller, { subject, spec, fields: told.fields });
    const entry: Entry = {
      told,
      subject,
      components,
      newest: Number.NEGATIVE_INFINITY,
      cancelOff: undefined,
    };
    const before = this.#entries.get(told.id);
    const device = this.#devices.get(told.device) ?? new Set<Entry>();
    this.#devices.set(told.device, device);
    if (before !== undefined) device.delete(before);
    device.add(entry);
    this.#entries.set(told.id, entry);
    this.#entities += told.fields.length;
    return entry;
  }

  #tellAll(): void {
    // The others refer to it.
    this.#tell(gateway.id);
    for (const id of this.#devices.keys()) this.#tell(id);
  }

  #tell(device: string): void {
    const topic = discoveryTopic(this.#teller, device);
    this.#messages?.set(topic, () => this.#deviceMessage(device));
  }

  /** Empty where the device has no entities any more. */
  #deviceMessage(id: string): Uint8Array {
    const entries = [...(this.#devices.get(id) ?? [])];
    const isGateway = id === gateway.id;
    const living: Components = Object.fromEntries([
      ...(isGateway ? Object.entries(gatewayComponents(this.#teller)) : []),
      ...entries.flatMap(({ components }) => Object.entries(components)),
    ]);
    const name = isGateway
      ? gateway
      : entries.find(({ subject }) => subject !== undefined)?.subject?.device;
    if (name === undefined) return new Uint8Array(0);
    const gone: Components = Object.fromEntries(
      entries.flatMap(({ told }) =>
        told.gone.map((field) => [
          componentId(told.id, field),
          { platform: platformOf(told.kind) },
        ]),
      ),
    );
    return encodeJson(devicePayload(this.#teller, name, { ...gone, ...living }));
  }

  // ---- what it says ----

  #heard(payload: Uint8Array): void {
    if (Buffer.from(payload).toString("latin1") !== "online") return;
    const { clock } = this.#options;
    const delayMs = Math.max(0, this.#againFrom - clock.monotonic());
    this.#cancelAgain ??= clock.after(delayMs, () => {
      this.#cancelAgain = undefined;
      this.#againFrom = clock.monotonic() + limits.homeAssistantAgainMs;
      this.#tellAll();
      this.#messages?.whenEmpty(() => this.#takenBack());
    });
  }

  /** Whoever was online has heard what is gone. */
  #takenBack(): void {
    for (const [id, entry] of this.#entries) {
      if (entry.told.gone.length === 0) continue;
      entry.told = { ...entry.told, gone: [] };
      this.#unsaved.set(id, entry.told);
      if (entry.subject !== undefined) continue;
      this.#entries.delete(id);
      const device = this.#devices.get(entry.told.device);
      device?.delete(entry);
      if (device?.size === 0) this.#devices.delete(entry.told.device);
    }
    this.#save();
  }

  // ---- what is stored ----

  #save(): void {
    if (this.#saving !== undefined || this.#unsaved.size === 0) return;
    this.#saving = this.#store().finally(() => {
      this.#saving = undefined;
    });
  }

  async #store(): Promise<void> {
    while (this.#unsaved.size > 0) {
      const changed = [...this.#unsaved.values()];
      this.#unsaved.clear();
      try {
        await this.#options.store.advance(changed.map(writeOfTold));
      } catch (error) {
        if (!isEnvironmental(error)) throw error;
        // With the next commit; what was told meanwhile is newer.
        for (const told of changed) {
          if (!this.#unsaved.has(told.id)) this.#unsaved.set(told.id, told);
        }
        return;
      }
    }
  }
}

/** `temp/device=p1`, of agent/pipeline/key in an id. */
function nameIn(name: string): string {
  const pipeline = name.indexOf("/") + 1;
  const key = name.indexOf("/", pipeline) + 1;
  return `${configuredName(name.slice(pipeline, key - 1))}/${name.slice(key)}`;
}

/** The same of a subject. */
function nameOf({ pipeline, key }: Subject): string {
  return `${percentEncoded(pipeline)}/${percentEncoded(nameOfTags(key))}`;
}

/** Each field as a number, or null where there is none, which shows as unknown. */
function summaryState(summary: Summary, names: readonly string[]): object {
  const { start, end, revision, count, fields } = summary;
  const values: Readonly<Record<string, unknown>> = {
    ...fields,
    count,
    sum: fields.sum === undefined ? undefined : fields.sum + (fields.sumError ?? 0),
  };
  return {
    start,
    end,
    revision,
    ...Object.fromEntries(names.map((name) => [name, values[name] ?? null])),
  };
}
