/**
 * Whom a record is about, as Home Assistant knows it, and by which ids. A subject is a pipeline and a
 * key; it has an entity for each field of its summaries, or one for its alerts.
 *
 *   weir_<agent>_<16 digits of pipeline and key>_<field>   unique id of an entity
 *   weir_<agent>_<16 digits of the device's tags>          identifier of a device
 *   weir_<agent>                                           the gateway
 *
 * Digits are of SHA-256: an id says nothing of a name that was erased, and no device can be named so
 * that it takes another's place. All ids depend on names alone, so they are the same after a restart, on
 * other hardware and after a pipeline's definition changed.
 */

import { createHash } from "node:crypto";
import { nameOfTags } from "../../core/catalog.ts";
import type { Tags } from "../../core/frame.ts";
import { globOf } from "../../core/glob.ts";
import { limits } from "../../core/limits.ts";
import { configuredName, type PipelineSpec } from "../../edge-ops/spec.ts";
import { percentEncoded } from "../../store/outbox/record-text.ts";
import { ownTopic } from "../own-topics/local-broker.ts";

export type Subject = {
  /** 16 hex digits. */
  readonly id: string;
  /** As the configuration has it. */
  readonly pipeline: string;
  readonly kind: "summary" | "alert";
  readonly key: Tags;
  readonly device: DeviceName;
};

/** What Home Assistant shows as one device. */
export type DeviceName = {
  /** 16 hex digits, or "gateway". */
  readonly id: string;
  readonly name: string;
};

/** Levels of MQTT that Home Assistant allows in a discovery topic. */
export function plainName(text: string): string {
  const plain = text.replaceAll(/[^A-Za-z0-9_-]/g, "_");
  return plain === text ? text : `${plain}_${digits(text).slice(0, 8)}`;
}

export function subjectOf({
  pipeline: emitted,
  kind,
  key,
}: Pick<Subject, "pipeline" | "kind" | "key">): Subject {
  const pipeline = configuredName(emitted);
  return {
    id: digits(JSON.stringify([pipeline, key])),
    pipeline,
    kind,
    key,
    device: deviceOf(key),
  };
}

/**
 * The `device` among the tags, so that what differs in further tags is together: alerts have all tags of
 * a series, summaries those of their key. Without one, all the tags; without any, the gateway itself.
 */
function deviceOf(key: Tags): DeviceName {
  const tags = key.filter(([name]) => name !== "metric");
  if (tags.length === 0) return { id: "gateway", name: "" };
  const own = tags.filter(([name]) => name === "device");
  const [device] = own;
  return device === undefined
    ? { id: digits(JSON.stringify(tags)), name: nameOfTags(tags) }
    : { id: digits(JSON.stringify(own)), name: device[1] };
}

/** Where the newest of the subject is, retained. */
export function stateTopic(agent: string, { pipeline, key, id }: Subject): string {
  const name = nameOfTags(key);
  const topic = ownTopic(agent, `state/${pipeline}/${name === "" ? "all" : percentEncoded(name)}`);
  return topic.length <= limits.topicBytesMax ? topic : ownTopic(agent, `state/${pipeline}/${id}`);
}

/** Of a subject, as the pipeline is defined now; empty where it is not one of this pipeline any more. */
export function fieldsOf(subject: Subject, spec: PipelineSpec | undefined): readonly string[] {
  if (spec === undefined || !takesKey(spec, subject.key)) return [];
  if (spec.kind !== "window") return subject.kind === "alert" ? ["alert"] : [];
  if (subject.kind !== "summary") return [];
  return spec.aggregate.filter((name) => name !== "quantiles");
}

/** As far as a key tells: what it does not name may be anything. */
function takesKey({ kind, where, key: names }: PipelineSpec, key: Tags): boolean {
  const tags = new Map(key);
  const metric = tags.get("metric");
  const isTaken =
    metric === undefined ||
    where.metrics.length === 0 ||
    where.metrics.some((glob) => globOf(glob)(metric));
  const fits = Object.entries(where.tags).every(([name, glob]) => {
    const value = tags.get(name);
    return value === undefined || globOf(glob)(value);
  });
  // Alerts name the metric, those of a chart all tags of their series.
  const isNamed =
    kind === "ewma" ||
    key.every(([name]) => names.includes(name) || (kind === "frequency" && name === "metric"));
  return isTaken && fits && isNamed;
}

export function digits(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
