/**
 * One transaction before it is sent: as many of the records given as fit, as messages by partition,
 * and the lane's state with the intent to send them. Pure.
 */

import type { Lane } from "../../store/outbox.ts";
import type { Delivery } from "../uplink.ts";
import { digestAfter, withBoot } from "./cursor.ts";
import { type Intent, type LaneState, withIncident } from "./lane-state.ts";
import type { Message, MessageEncoder } from "./message.ts";
import { partitionOf } from "./murmur2.ts";
import { recordBytesMax } from "./record-batch.ts";

export type Transaction = {
  /** What is to be sent, by partition of the data topic; empty where every record was too large. */
  readonly messages: ReadonlyMap<number, readonly Message[]>;
  /** Records in `messages`. */
  readonly count: number;
  /** With the intent; to be stored before anything is sent. */
  readonly state: LaneState & { readonly intent: Intent };
};

export type TransactionOptions = {
  readonly lane: Lane;
  /** Nothing is under way in it. */
  readonly state: LaneState;
  /** Id of this process. */
  readonly boot: string;
  readonly encode: MessageEncoder;
  /** Of the data topic. */
  readonly partitions: number;
  /** All messages together, before compression; one message always fits. */
  readonly bytesMax: number;
  /** A larger message is left out. */
  readonly messageBytesMax: number;
};

export function createTransaction(
  { first, records }: Delivery,
  options: TransactionOptions,
): Transaction {
  const { lane, encode, partitions, bytesMax, messageBytesMax } = options;
  const messages = new Map<number, Message[]>();
  let state = skipped(options.state, lane, first);
  let { seq, digest } = state.mark;
  let number = first;
  let bytes = 0;
  let count = 0;
  for (const record of records) {
    const place = { outbox: state.mark.outbox, lane, seq, forkedFrom: state.forkedFrom || undefined };
    const message = encode(record, place);
    const size = recordBytesMax(message);
    if (size > messageBytesMax) {
      state = tooLarge(state, { lane, number, message, size, messageBytesMax });
    } else {
      if (count > 0 && bytes + size > bytesMax) break;
      const partition = partitionOf(message.partitionKey, partitions);
      const there = messages.get(partition);
      if (there === undefined) messages.set(partition, [message]);
      else there.push(message);
      digest = digestAfter(digest, message.value);
      bytes += size;
      count += 1;
      seq += 1;
    }
    number += 1;
  }
  const boots = withBoot(state.boots, { id: options.boot, seq: state.mark.seq });
  const intent = { number, mark: { outbox: state.mark.outbox, seq, digest } };
  return { messages, count, state: { ...state, boots, intent } };
}

/** The outbox no longer has what lies before `first`, or cannot read it. */
function skipped(state: LaneState, lane: Lane, first: number): LaneState {
  const { number } = state;
  if (first <= number) return state;
  const what = `${lane} ${number} to ${first - 1} were no longer in the outbox, or not readable there`;
  return { ...withIncident(state, { first: number, next: first, what }), number: first };
}

function tooLarge(
  state: LaneState,
  of: {
    readonly lane: Lane;
    readonly number: number;
    readonly message: Message;
    readonly size: number;
    readonly messageBytesMax: number;
  },
): LaneState {
  const key = new TextDecoder().decode(of.message.key.subarray(0, 200));
  return withIncident(state, {
    first: of.number,
    next: of.number + 1,
    what: `${of.lane} ${of.number} (${key}) has ${of.size} bytes, more than the ${of.messageBytesMax} that may be sent: it was left out`,
  });
}
