/**
 * Takes the name of an agent for other hardware: in each lane the old producer is fenced, what it had
 * under way is decided, and its cursor is written once more, or for the first time, with a further life of the name. From then on
 * nothing that has an earlier life sends as this agent (reconcile.ts), so what the topics have is all there
 * will be of it.
 */

import type { Clock } from "../../../core/doors.ts";
import { Fault } from "../../../core/faults.ts";
import { type Lane, lanes, type Queue, queueOf } from "../../../store/outbox/lane.ts";
import { type Cluster, errorOf } from "../cluster.ts";
import { type Cursor, emptyDigest, withBoot } from "../cursor.ts";
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
  /** After which the cluster ends the transaction of a cursor. */
  readonly transactionMs: number;
  readonly clock: Clock;
  readonly wait: (ms: number) => Promise<void>;
  /** Id of this process. */
  readonly boot: string;
  /** A random hex text of so many bytes. */
  readonly randomHex: (bytes: number) => string;
};

/** How far the old hardware was in a lane: its cursor, now with the further life. */
export type TakenLane = { readonly lane: Lane; readonly cursor: Cursor; readonly cluster: string };

/**
 * All lanes, each with the cursor that it has now: of a new outbox where it had none, so that the old
 * hardware does not begin there. None, and nothing is written, where no lane has a cursor. Rejects as
 * `Cluster` does; INPUT_INVALID, and nothing is fenced, where a topic is missing.
 */
export async function takeName(cluster: Cluster, options: NameOptions): Promise<TakenLane[]> {
  const { agent, version, cursorTopic, randomHex } = options;
  const there = await namedTopics(cluster, options);
  const found: {
    readonly lane: Lane;
    readonly of: Incarnation;
    readonly cursor: Cursor | undefined;
  }[] = [];
  for (const lane of lanes) {
    const named = options.topics[queueOf(lane)];
    // Nothing is sent but the cursor.
    const topic = there.has(named) ? named : cursorTopic;
    const of = incarnationOf(cluster, { ...options, lane, topic });
    found.push({ lane, of, cursor: await currentCursor(of, options) });
  }
  if (found.every(({ cursor }) => cursor === undefined)) return [];
  // One life for all lanes, whichever of them an earlier try had reached.
  const life = 1 + Math.max(0, ...found.map(({ cursor }) => cursor?.life ?? 0));
  const taken: TakenLane[] = [];
  for (const { lane, of, cursor } of found) {
    const begun = { outbox: randomHex(16), seq: 0, digest: emptyDigest };
    const { mark, boots: known, before } = cursor ?? { mark: begun, boots: [], before: [] };
    const boots = withBoot(known, { id: options.boot, seq: mark.seq });
    const given: Cursor = { agent, lane, mark, boots, before, version, life };
    await write(of, given, options);
    taken.push({ lane, cursor: given, cluster: cluster.id });
  }
  return taken;
}

/**
 * The topics that are there. All must be but that of raw readings, which is made when the first are sent:
 * what was sent to another one would not be found, and be sent again.
 */
async function namedTopics(
  cluster: Cluster,
  { agent, topics: { summaries, alerts, raw }, cursorTopic }: NameOptions,
): Promise<ReadonlyMap<string, number>> {
  const needed = [...new Set([summaries, alerts, cursorTopic])];
  const there = await cluster.partitionsOf([...new Set([...needed, raw])]);
  const missing = needed.filter((topic) => !there.has(topic));
  if (missing.length === 0) return there;
  const topics = missing.join(" and no topic ");
  throw new Fault(
    "INPUT_INVALID",
    `the cluster has no topic ${topics}, which ${agent} sends to: nothing was changed; is it the right cluster? Make the topic again if it was deleted`,
    { facts: { topics: missing.join(" ") } },
  );
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
