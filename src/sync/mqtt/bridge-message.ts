/**
 * What a record of the outbox is on a topic: its bytes as they are, and with MQTT 5 the attributes of
 * CloudEvents 1.0 as user properties (MQTT protocol binding, binary content mode: names unchanged).
 * They are those that Kafka's headers carry. Documented in docs/format/mqtt.md.
 */

import { byQueue, type Lane, type Queue, queueOf } from "../../store/outbox/lane.ts";
import { pipelineOfRecord } from "../../store/outbox/record-pipeline.ts";
import { createMessageEncoder, type MessageEncoder } from "../kafka/message/message.ts";
import type { Attributes, BridgeMessage } from "./bridge-link.ts";

export type MessageMakerOptions = {
  /** Name of this gateway. */
  readonly agent: string;
  /** Of each queue: topic with `{agent}` and `{pipeline}` for names. */
  readonly topics: Readonly<Record<Queue, string>>;
  readonly retain: boolean;
  /** `none` with MQTT 3.1.1, which has no properties; `minimal` is the id alone. */
  readonly attributes: "cloudevents" | "minimal" | "none";
};

/** Where a record stands: its outbox, its lane there, and its number in the lane. */
export type RecordPlace = { readonly outbox: string; readonly lane: Lane; readonly seq: number };

export type MessageMaker = (record: Uint8Array, at: RecordPlace) => BridgeMessage;

/** Faults of the maker: STORE_FAILED where the bytes are not those of a record. */
export function createMessageMaker(options: MessageMakerOptions): MessageMaker {
  const { agent, topics, retain, attributes } = options;
  const named: Record<Queue, Map<string, string>> = byQueue(() => new Map());
  const topicOf = (queue: Queue, pipeline: string): string => {
    const known = named[queue].get(pipeline);
    if (known !== undefined) return known;
    const topic = bridgeTopic(topics[queue], { agent, pipeline });
    named[queue].set(pipeline, topic);
    return topic;
  };
  const attributesOf = attributes === "none" ? () => undefined : attributeMaker(agent, attributes);
  return (record, at) => ({
    topic: topicOf(queueOf(at.lane), pipelineOfRecord(record) ?? ""),
    payload: record,
    retain,
    attributes: attributesOf(record, at),
  });
}

/** A configured topic with names put in. */
export function bridgeTopic(
  template: string,
  names: { readonly agent: string; readonly pipeline: string },
): string {
  return template.replaceAll("{agent}", names.agent).replaceAll("{pipeline}", names.pipeline);
}

/** At most: fixed header, lengths, and each property with its own. */
export function packetBytesOf({ topic, payload, attributes }: BridgeMessage): number {
  let bytes = payload.length + 3 * topic.length + 64;
  for (const [name, value] of Object.entries(attributes ?? {})) {
    bytes += name.length + 3 * value.length + 5;
  }
  return bytes;
}

/** Made of Kafka's headers, whose names are `ce_` and the attribute's; the content type is a property. */
export function attributeMaker(
  agent: string,
  headers: "cloudevents" | "minimal",
): (record: Uint8Array, at: RecordPlace) => Attributes {
  const encode: MessageEncoder = createMessageEncoder({ agent, headers, format: "json" });
  const decoder = new TextDecoder();
  /** Names and fixed values are the same bytes each time. */
  const texts = new WeakMap<Uint8Array, string>();
  const textOf = (bytes: Uint8Array): string => {
    const known = texts.get(bytes);
    if (known !== undefined) return known;
    const text = decoder.decode(bytes);
    texts.set(bytes, text);
    return text;
  };
  return (record, at) => {
    const attributes: Record<string, string> = {};
    for (const { name, value } of encode(record, at).headers) {
      const header = textOf(name);
      if (header.startsWith("ce_")) attributes[header.slice(3)] = textOf(value);
    }
    return attributes;
  };
}
