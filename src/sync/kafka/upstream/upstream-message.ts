/** A record of ours as it lies in a topic: who sent it, as which number, and where it is. */

import type { FetchedRecord, TopicPartition } from "../cluster.ts";
import type { Header } from "../cluster.ts";

export type MessagePlace = TopicPartition & { readonly offset: number };

/** `<outbox>:<number>` */
export type OutboxNumber = { readonly outbox: string; readonly number: number };

export type UpstreamMessage = OutboxNumber & {
  readonly at: MessagePlace;
  readonly lane: string;
  /** Where its outbox parted from another. */
  readonly forkedFrom: OutboxNumber | undefined;
  /** agent/pipeline/key/time */
  readonly key: string;
  readonly value: Uint8Array;
};

/** Undefined where it is not a weir's: without key, value or `ce_id` of our form. */
export function messageOf(
  { key, value, headers, offset }: FetchedRecord,
  { topic, partition }: TopicPartition,
): UpstreamMessage | undefined {
  if (key === undefined || value === undefined) return undefined;
  const id = /^([0-9a-f]{32}):([a-z]+):(\d{1,16})$/.exec(headerOf(headers, "ce_id") ?? "");
  const [, outbox, lane, number] = id ?? [];
  if (outbox === undefined || lane === undefined) return undefined;
  return {
    at: { topic, partition, offset },
    outbox,
    lane,
    number: Number(number),
    forkedFrom: outboxNumberOf(headerOf(headers, "weir-forked-from")),
    key: textOf(key),
    value,
  };
}

/**
 * Whether a record is of the agent by its key, or of one of the outboxes: where the agent had another
 * name, what it recorded under that one is sent under this.
 */
export function isOfAgent(
  agent: string,
  outboxes: ReadonlySet<string>,
): (record: FetchedRecord) => boolean {
  const beginning = Buffer.from(`${percentEncoded(agent)}/`);
  return ({ key, headers }) => {
    if (key === undefined) return false;
    if (beginning.equals(key.subarray(0, beginning.length))) return true;
    return outboxes.has(headerOf(headers, "ce_id")?.slice(0, 32) ?? "");
  };
}

/** The agent in a key, and the parts after it, decoded; the time as text. */
export function partsOfKey(key: string): {
  readonly agent: string;
  readonly pipeline: string;
  readonly name: string;
  readonly time: string;
} {
  const [agent = "", pipeline = "", name = "", time = ""] = key.split("/").map(decoded);
  return { agent, pipeline, name, time };
}

function outboxNumberOf(text: string | undefined): OutboxNumber | undefined {
  const [, outbox, number] = /^([0-9a-f]{32}):(\d{1,16})$/.exec(text ?? "") ?? [];
  return outbox === undefined ? undefined : { outbox, number: Number(number) };
}

/** The last one of the name. */
function headerOf(headers: readonly Header[], name: string): string | undefined {
  const found = headers.findLast((header) => textOf(header.name) === name);
  return found && textOf(found.value);
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** As the parts of an id are. */
function percentEncoded(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll(/%(3D|2C|3A|40)/g, decodeURIComponent);
}
