/**
 * The state of a savepoint, made to go on where the old hardware was upstream (decision 0028):
 *
 *   lanes      stand at its cursors, in the same outboxes, with the further life of the name
 *   outbox     of what waited then, only what is not upstream is sent: it is appended anew
 *   windows    that begin before the end of what was sent of their key are held back (held-back.ts)
 *   gaps       say for each pipeline that readings are missing from the savepoint on until the name was
 *              taken; how many nobody knows
 */

import type { Kv, KvWrite } from "../../../core/doors.ts";
import { millis } from "../../../core/units.ts";
import { decodeSpec, emittedName, type PipelineSpec } from "../../../edge-ops/spec.ts";
import type { SetHead } from "../../../store/care/savepoint-set.ts";
import { appendWrites, readOutbox } from "../../../store/outbox/outbox.ts";
import { decodeRecord, type DecodedRecord, encodeGap } from "../../../store/outbox/record-codec.ts";
import { byLane, type OutputQueue, outputQueues, queueOf } from "../../../store/outbox/lane.ts";
import { decodeSplit, isIn, unsplit } from "../../../store/outbox/split.ts";
import { readCheckpoint } from "../../../store/state/checkpoint-store.ts";
import { readSpan } from "../../../store/outbox/queue-span.ts";
import { splitKey, uplinkKey } from "../../../store/state/kv-key.ts";
import { heldBackFormatWrites } from "../../../store/state/state-format.ts";
import { limits } from "../../../core/limits.ts";
import { decodeLaneState, encodeLaneState, type LaneState } from "../lane-state.ts";
import { rfc3339 } from "../message/rfc3339.ts";
import type { SentSince } from "./sent-since.ts";
import { decodeSetState, encodeSetState, setStateAfter } from "./set-state.ts";
import type { TakenLane } from "./take-name.ts";

export type Waiting = Readonly<Record<OutputQueue, readonly WaitingRecord[]>>;
export type WaitingRecord = DecodedRecord & { readonly bytes: Uint8Array };

/**
 * What waits for the uplink in the outbox of a savepoint: without what it had sent by then, which may be
 * kept because another uplink wants it, and without what is damaged. Faults: STORE_FAILED.
 */
export function waitingIn(kv: Kv, uplink: string): Waiting {
  const isSent = sentBy(kv, uplink);
  const of = (queue: OutputQueue): WaitingRecord[] => {
    const found: WaitingRecord[] = [];
    const { first, next } = readSpan(kv, queue);
    for (let from = first; from < next; ) {
      const read = readOutbox(kv, queue, { from, bytesMax: limits.uplinkBatchBytesMax });
      for (const [index, bytes] of read.records.entries()) {
        if (isSent(queue, read.first + index)) continue;
        found.push({ ...decodeRecord(bytes, `the savepoint's outbox, ${queue}`), bytes });
      }
      if (read.next <= from) break;
      from = read.next;
    }
    return found;
  };
  return { alerts: of("alerts"), summaries: of("summaries") };
}

/** Whether a number of a queue is known to be upstream, by what the savepoint has of the lanes. */
function sentBy(kv: Kv, uplink: string): (queue: OutputQueue, number: number) => boolean {
  const next = byLane((lane) => {
    const key = uplinkKey(uplink, lane);
    const stored = kv.get(key);
    return stored === undefined ? 0 : decodeLaneState(stored, `the savepoint's ${key}`).number;
  });
  const key = splitKey(uplink);
  const stored = kv.get(key);
  const { ranges } = stored === undefined ? unsplit : decodeSplit(stored, `the savepoint's ${key}`);
  return (queue, number) => {
    const isBehind = queue === "summaries" && isIn(ranges, number);
    return number < next[isBehind ? "backfill" : queue];
  };
}

/** The pipelines of a savepoint by the names that they have in what they emit. Faults: those of `decodeSpec`. */
export function pipelinesIn(kv: Kv): ReadonlyMap<string, PipelineSpec> {
  const found = readCheckpoint(kv);
  if (found === undefined) return new Map();
  const { pipelines, generations } = decodeSpec(found.checkpoint.spec);
  return new Map(
    pipelines.map((pipeline) => [
      emittedName(pipeline.name, generations?.[pipeline.name]),
      pipeline,
    ]),
  );
}

export type GoOnOptions = {
  readonly uplink: string;
  readonly agent: string;
  readonly head: SetHead;
  /** All lanes. */
  readonly taken: readonly TakenLane[];
  readonly waiting: Waiting;
  readonly sent: SentSince;
  /** Names of the savepoint's pipelines. */
  readonly pipelines: Iterable<string>;
  /** When the name was taken, milliseconds since 1970. */
  readonly takenAt: number;
};

export type GoneOn = {
  /** Records that waited in the savepoint: sent by the old hardware, and to be sent still. */
  readonly known: number;
  readonly again: number;
  readonly gaps: number;
};

/** In one transaction. Faults: those of the store. */
export async function goOn(kv: Kv, options: GoOnOptions): Promise<GoneOn> {
  const { uplink, head, taken, sent, waiting, agent } = options;
  const writes: KvWrite[] = [];
  const gone = { known: 0, again: 0, gaps: 0 };
  const starts = { alerts: 0, summaries: 0, raw: readSpan(kv, "raw").next };
  for (const queue of outputQueues) {
    const span = readSpan(kv, queue);
    starts[queue] = span.next;
    const again = waiting[queue].filter((record) => !sent.has(record));
    const gaps = queue === "summaries" ? gapsOf(options, span.next + again.length) : [];
    const records = [...again.map(({ bytes }) => bytes), ...gaps];
    writes.push(...appendWrites(queue, span, records).writes);
    if (queue === "summaries") writes.push({ key: splitKey(uplink), value: undefined });
    gone.known += waiting[queue].length - again.length;
    gone.again += again.length;
    gone.gaps += gaps.length;
  }
  const what = `this hardware took the name ${agent} over, from its savepoint of ${timeText(head.made)} (weir restore --from-kafka): readings after it that the old one had not sent as summaries are lost`;
  for (const of of taken) {
    const key = uplinkKey(uplink, of.lane);
    const start = starts[queueOf(of.lane)];
    const stored = kv.get(key);
    const before = stored && decodeLaneState(stored, `the savepoint's ${key}`);
    const state = stateOf(of, { agent, start, before, what });
    writes.push({ key, value: encodeLaneState(state) });
  }
  if (sent.heldBack.size > 0) writes.push(sent.heldBack.write(), ...heldBackFormatWrites());
  const sets = uplinkKey(uplink, "savepoints");
  const then = decodeSetState(kv.get(sets), `the savepoint's ${sets}`);
  writes.push({ key: sets, value: encodeSetState(setStateAfter(head, then)) });
  await kv.commit(writes);
  return gone;
}

function stateOf(
  { cursor, cluster }: TakenLane,
  {
    agent,
    start,
    before,
    what,
  }: {
    readonly agent: string;
    readonly start: number;
    readonly before: LaneState | undefined;
    readonly what: string;
  },
): LaneState {
  const { mark, boots, life } = cursor;
  const isSame = before?.mark.outbox === mark.outbox;
  const count = before?.incidents.count ?? 0;
  return {
    agent,
    cluster,
    mark,
    number: start,
    there: mark,
    boots,
    before: cursor.before,
    forkedFrom: isSame ? before.forkedFrom : "",
    intent: undefined,
    place: undefined,
    incidents: { count: count + 1, last: { first: start, next: start, what } },
    life,
  };
}

function timeText(ms: number): string {
  const text = rfc3339(ms);
  return text === undefined ? String(ms) : new TextDecoder().decode(text);
}

/**
 * One for each pipeline: readings are missing whether it has sent anything since or not. Numbered from
 * `number` on, their numbers in the queue. None where the clock says that it was before the savepoint.
 */
function gapsOf(
  { agent, head, sent, pipelines, takenAt }: GoOnOptions,
  number: number,
): readonly Uint8Array[] {
  const end = Math.max(takenAt, sent.newest ?? takenAt);
  if (end <= head.made) return [];
  return [...new Set([...pipelines, ...sent.pipelines])].toSorted().map((pipeline, index) =>
    encodeGap(agent, {
      kind: "gap",
      pipeline,
      lane: "summaries",
      last: number + index,
      start: millis(head.made),
      end: millis(end),
      records: 0,
      readings: 0,
    }),
  );
}
