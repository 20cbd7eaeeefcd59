/**
 * One transaction before it is sent: as many of the records given as fit, as messages by partition,
 * and the lane's state with the intent to send them. Pure.
 *
 * A record that cannot be sent is left out, with an incident: one must not hold up all that follow.
 * That is decided with the intent, whatever becomes of that, so it is reported once; and the records
 * of an intent are consecutive, because only those in front of the first message are left out.
 */

import { Fault } from "../../core/faults.ts";
import type { Lane } from "../../store/outbox/lane.ts";
import type { Range } from "../../store/outbox/split.ts";
import type { Delivery } from "../uplink.ts";
import { digestAfter, withBoot } from "./cursor.ts";
import { type Intent, type LaneState, withIncident } from "./lane-state.ts";
import type { Message, MessageEncoder, OutboxPlace } from "./message/message.ts";
import { partitionOf } from "./message/murmur2.ts";
import type { Guarantee } from "./session.ts";
import { recordBytesMax } from "./message/record-batch.ts";

export type Transaction = {
  /** What is to be sent, by partition of the data topic; empty where every record was too large. */
  readonly messages: ReadonlyMap<number, readonly Message[]>;
  /** Records in `messages`. */
  readonly count: number;
  /** Of `messages`, before compression. */
  readonly bytes: number;
  /** With the intent; to be stored before anything is sent. */
  readonly state: LaneState & { readonly intent: Intent };
};

/** Number of the record, and the protocol's name of what the topic said. */
export type Refused = { readonly number: number; readonly error: string };

/** What decides whether a record can be sent. */
export type FitOptions = {
  readonly encode: MessageEncoder;
  /** A larger message is left out. */
  readonly messageBytesMax: number;
  /** A record that the topic refused when it was sent alone. */
  readonly refused: Refused | undefined;
};

export type TransactionOptions = FitOptions & {
  readonly lane: Lane;
  /** Nothing is under way in it. */
  readonly state: LaneState;
  /** Id of this process. */
  readonly boot: string;
  readonly delivery: Guarantee;
  /** Of the data topic. */
  readonly partitions: number;
  /** All messages together, before compression; one message always fits. */
  readonly bytesMax: number;
};

export function createTransaction(
  { lost, first, records }: Omit<Delivery, "bytesMax">,
  options: TransactionOptions,
): Transaction {
  const { lane, partitions, bytesMax } = options;
  const messages = new Map<number, Message[]>();
  let state = lost.reduce((known, range) => without(known, lane, range), options.state);
  state = { ...state, number: Math.max(state.number, first) };
  let { seq, digest } = state.mark;
  let bytes = 0;
  let count = 0;
  for (const record of records) {
    const place = {
      outbox: state.mark.outbox,
      lane,
      seq,
      forkedFrom: state.forkedFrom || undefined,
    };
    const found = fit(record, { ...options, place, number: state.number + count });
    if (found.kind === "unfit") {
      if (count > 0) break;
      state = leftOut(state, lane, found.why);
      continue;
    }
    const { message, size } = found;
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
  const boots = withBoot(state.boots, { id: options.boot, seq: state.mark.seq });
  const mark = { outbox: state.mark.outbox, seq, digest };
  const intent = { number: state.number + count, mark, delivery: options.delivery };
  return { messages, count, bytes, state: { ...state, boots, intent } };
}

export type Fit =
  | { readonly kind: "message"; readonly message: Message; readonly size: number }
  /** It cannot be sent; `why` ends a sentence. */
  | { readonly kind: "unfit"; readonly why: string };

/** The message of a record, with its size in a batch, or why it cannot be sent. */
export function fit(
  record: Uint8Array,
  at: FitOptions & { readonly place: OutboxPlace; readonly number: number },
): Fit {
  const { encode, messageBytesMax, refused } = at;
  let message: Message;
  try {
    message = encode(record, at.place);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { kind: "unfit", why: `cannot be sent: ${error.message}` };
  }
  const size = recordBytesMax(message);
  const isRefused = at.number === refused?.number;
  if (size <= messageBytesMax && !isRefused) return { kind: "message", message, size };
  const key = new TextDecoder().decode(message.key.subarray(0, 200));
  const reason =
    size > messageBytesMax
      ? `more than the ${messageBytesMax} that may be sent`
      : `and the topic refuses it (${refused?.error ?? ""})`;
  return { kind: "unfit", why: `(${key}) has ${size} bytes, ${reason}: it was left out` };
}

/** The outbox no longer has these, or cannot read them. */
function without(state: LaneState, lane: Lane, { low, high }: Range): LaneState {
  const what = `${lane} ${low} to ${high - 1} were no longer in the outbox, or not readable there`;
  return { ...withIncident(state, { first: low, next: high, what }), number: high };
}

/** Without the record that would be next. */
function leftOut(state: LaneState, lane: Lane, why: string): LaneState {
  const { number } = state;
  const what = `${lane} ${number} ${why}`;
  const next = number + 1;
  return { ...withIncident(state, { first: number, next, what }), number: next };
}
