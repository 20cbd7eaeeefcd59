/**
 * Takes the name of an agent for other hardware: in each lane the old producer is fenced, what it had
 * under way is decided, and its cursor is written once more with a further life of the name. From then on
 * nothing that has an earlier life sends as this agent (reconcile.ts), so what the topics have is all there
 * will be of it.
 */

import type { Clock } from "../../../core/doors.ts";
import { limits } from "../../../core/limits.ts";
import { type Lane, lanes, type Queue, queueOf } from "../../../store/outbox/lane.ts";
import { type Cluster, errorOf } from "../cluster.ts";
import { type Cursor, withBoot } from "../cursor.ts";
import { Incarnation } from "../incarnation.ts";
import type { LaneState } from "../lane-state.ts";
import { noCompression } from "../message/record-batch.ts";
import { afterEvent, closedSession, type Session, waitMsOf } from "../session.ts";

export type NameOptions = {
  readonly agent: string;
  readonly version: string;
  /** Topics of records, by queue. */
  readonly topics: Readonly<Record<Queue, string>>;
  readonly cursorTopic: string;
  readonly clock: Clock;
  readonly wait: (ms: number) => Promise<void>;
  /** Id of this process. */
  readonly boot: string;
};

/** How far the old hardware was in a lane: its cursor, now with the further life. */
export type TakenLane = { readonly lane: Lane; readonly cursor: Cursor; readonly cluster: string };

/** The lanes that have a cursor. Rejects as `Cluster` does. */
export async function takeName(cluster: Cluster, options: NameOptions): Promise<TakenLane[]> {
  const found: { readonly lane: Lane; readonly of: Incarnation; readonly cursor: Cursor }[] = [];
  const topics = [...new Set(Object.values(options.topics))];
  const there = await cluster.partitionsOf([...topics, options.cursorTopic]);
  if (!there.has(options.cursorTopic)) return [];
  for (const lane of lanes) {
    const topic = options.topics[queueOf(lane)];
    if (!there.has(topic)) continue;
    const of = incarnationOf(cluster, { ...options, lane, topic });
    const cursor = await currentCursor(of, options);
    if (cursor !== undefined) found.push({ lane, of, cursor });
  }
  // One life for all lanes, whichever of them an earlier try had reached.
  const life = 1 + Math.max(0, ...found.map(({ cursor }) => cursor.life ?? 0));
  const taken: TakenLane[] = [];
  for (const { lane, of, cursor } of found) {
    const { mark } = cursor;
    const boots = withBoot(cursor.boots, { id: options.boot, seq: mark.seq });
    const given: Cursor = { ...cursor, boots, life };
    await write(of, given, options);
    taken.push({ lane, cursor: given, cluster: cluster.id });
  }
  return taken;
}

function incarnationOf(
  cluster: Cluster,
  { lane, topic, ...options }: NameOptions & { readonly lane: Lane; readonly topic: string },
): Incarnation {
  return new Incarnation(cluster, {
    ...options,
    lane,
    topic,
    delivery: "transactional",
    topics: { create: false, partitions: -1, replication: -1, cursorPartitions: 1 },
    transactionMs: limits.kafkaTransactionMs,
  });
}

async function currentCursor(of: Incarnation, options: NameOptions): Promise<Cursor | undefined> {
  await of.openTopics(options.wait);
  await patiently("initialising", options, () => of.initialise());
  let tries = 0;
  return await patiently("reading", options, () =>
    of.readCursor(undefined, { asksGroup: tries++ < groupTries }),
  );
}

/** A transaction of the cursor alone. */
async function write(of: Incarnation, cursor: Cursor, options: NameOptions): Promise<void> {
  const { mark, boots, before, life, agent } = cursor;
  const state: LaneState = {
    agent,
    cluster: of.cluster.id,
    mark,
    number: 0,
    there: mark,
    boots,
    before,
    forkedFrom: "",
    intent: undefined,
    place: undefined,
    incidents: { count: 0, last: undefined },
    life,
  };
  const intent = { number: 0, mark, delivery: "transactional" } as const;
  const transaction = { messages: new Map(), count: 0, bytes: 0, state: { ...state, intent } };
  await patiently("adding", options, () => of.add(transaction));
  await of.send(transaction, noCompression);
  await of.commit();
}

/** As a session does: again while the cluster says that it is busy, a bounded number of times. */
async function patiently<Value>(
  state: Session["state"],
  { wait }: NameOptions,
  step: () => Promise<Value>,
): Promise<Value> {
  let session: Session = { ...closedSession("transactional"), state };
  for (;;) {
    try {
      return await step();
    } catch (error) {
      const next = afterEvent(session, { kind: "failed", error: errorOf(error) });
      if (next === undefined || next.state !== state) throw error;
      session = next;
      await wait(waitMsOf(session));
    }
  }
}

/** Then a group whose offset stays undecided is passed over, as in a session. */
const groupTries = 24;
