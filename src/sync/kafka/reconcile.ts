/**
 * What a lane does when it has found the cluster's cursor: a pure function of what is stored here
 * and what is stored there. It is asked after InitProducerId succeeded, so every earlier transaction
 * of this name is decided and the cursor will not change behind our back.
 *
 *   found there                            here                              goes on as
 *   ours, at the end of our intent                                           committed
 *   ours, at our mark                                                        resumed; an intent was aborted
 *   none of ours, or ours behind           the same when last asked          resumed: it is known already
 *   ours, further                          the same records, by digest       caught-up: acknowledgements were lost
 *   ours, further, or another digest       other records                     forked: a new outbox
 *   ours, behind our mark                                                    cluster-behind
 *   no cursor, or ours is not in it        there was one                     cursor-lost
 *   the same in another cluster            records were sent                 cluster-replaced
 *   no cursor, or ours is not in it        nothing sent yet                  begun
 *   another outbox's, not known here       any                               an incident, and one of the above
 *   another process' that came after us    this process had the lane         halts
 *   a later life of the name               an earlier one, in any lane       halts: this gateway was replaced
 *
 * Where no cursor of ours was ever seen, a transaction that was under way was aborted: it would have
 * written one.
 *
 * Whoever started last has the name: it takes over, and the other halts when it is fenced. A halted
 * lane asks the cluster nothing more, so two agents with one name do not fence each other for ever.
 *
 * Hardware that was replaced (weir restore --from-kafka gives its name a further life) never takes it back
 * by starting last: its replacement goes on with what it had.
 *
 * A fork keeps what the old outbox sent and sends everything that this state does not know to be
 * sent, under a new outbox id: what both have is upstream twice, told apart by the outbox in `ce_id`
 * and by `weir-forked-from`. Nothing is dropped on the suspicion that it is the same.
 */

import type { Incident } from "../uplink.ts";
import { type Cursor, emptyDigest, type Mark, marksMax } from "./cursor.ts";
import { type LaneState, withIncident } from "./lane-state.ts";

export type Verdict =
  | "begun"
  | "resumed"
  | "committed"
  | "caught-up"
  | "forked"
  | "cluster-behind"
  | "cursor-lost"
  | "cluster-replaced";

export type Reconciled =
  | { readonly kind: "go"; readonly verdict: Verdict; readonly state: LaneState }
  /** Another agent has the name; `why` is a sentence that says what to do. */
  | { readonly kind: "halt"; readonly why: string };

export type Here = {
  /** As stored; undefined where this lane was never used. */
  readonly state: LaneState | undefined;
  readonly agent: string;
  /** Of the name, by all lanes of this agent; undefined where it has sent nothing under it. */
  readonly life: number | undefined;
  /** Id of the cluster that was asked. */
  readonly cluster: string;
  /** This process has had the lane before. */
  readonly isHeld: boolean;
  /** Number of the oldest record in the outbox. */
  readonly start: number;
  /** A new random id. */
  readonly freshOutbox: string;
  /** Where our own records would be at `seq`; undefined where there are not so many. */
  readonly markAt: (seq: number) => { readonly mark: Mark; readonly number: number } | undefined;
};

export function reconcile(here: Here, cursor: Cursor | undefined): Reconciled {
  const { state, agent, cluster } = here;
  // A lane may be new where the name is not. Who has nothing under it takes the life as it is.
  const lives = here.life === undefined ? 0 : (cursor?.life ?? 0) - here.life;
  if (cursor !== undefined && lives > 0) return { kind: "halt", why: replacedBy(agent, cursor) };
  if (state === undefined || state.agent !== agent) return begin(here, cursor);
  const isNews = cursor !== undefined && isUnknown(cursor, state);
  // Who has an earlier life of the name does not know it yet, and halts at our next cursor.
  if (here.isHeld && isNews && lives === 0) {
    return { kind: "halt", why: identityInUse(agent, cursor) };
  }
  const own = ownMark(cursor, state.mark.outbox);
  const known = {
    ...asOf(cluster, state),
    ...livedOn(here, undefined),
    before: marksBefore(cursor, state),
    there: own,
  };
  const isOurs = cursor !== undefined && cursor.mark.outbox === state.mark.outbox;
  const base = isNews && !isOurs ? withIncident(known, takenOver(known, cursor)) : known;
  if (own === undefined) return withoutCursor(here, base, state);
  if (state.intent === undefined || !isSame(own, state.intent.mark)) {
    const wasThere = state.there !== undefined && isSame(own, state.there);
    if (wasThere || isSame(own, state.mark)) return go("resumed", settled(doubted(base)));
  }
  return compare(here, base, own);
}

/**
 * The same without cursors (`upsert` delivery): nothing can be compared, and what was under way is
 * sent again with the same numbers. `there` stays as it is, for the day cursors are written again.
 */
export function resumeUpsert(here: Here): Reconciled {
  const { state, agent, cluster } = here;
  if (state === undefined || state.agent !== agent) return begin(here, undefined);
  if (state.cluster === cluster) return go("resumed", settled(state));
  return withoutCursor(here, { ...asOf(cluster, state), there: undefined }, state);
}

/** A lane that was never used, or only under another name. */
function begin(here: Here, cursor: Cursor | undefined): Reconciled {
  const { state: old, agent, cluster, start, freshOutbox } = here;
  const fresh: LaneState = {
    agent,
    cluster,
    mark: { outbox: freshOutbox, seq: 0, digest: emptyDigest },
    number: Math.max(start, old?.number ?? 0),
    there: undefined,
    boots: [],
    before: marksBefore(cursor, undefined),
    forkedFrom: "",
    intent: undefined,
    place: undefined,
    incidents: old?.incidents ?? { count: 0, last: undefined },
    ...livedOn(here, cursor),
  };
  const warned = cursor === undefined ? fresh : withIncident(fresh, takenOver(fresh, cursor));
  if (old?.intent === undefined) return go("begun", warned);
  return go(
    "begun",
    withIncident(warned, {
      first: old.number,
      next: old.intent.number,
      what: `the agent was called ${old.agent} while records ${old.number} to ${old.intent.number - 1} were under way: under that name they may be in the cluster as well`,
    }),
  );
}

/** The cursor knows our outbox, and says something new about it. */
function compare(here: Here, state: LaneState, own: Mark): Reconciled {
  const { mark, intent } = state;
  if (intent !== undefined && isSame(own, intent.mark)) {
    return go("committed", settled({ ...state, mark: intent.mark, number: intent.number }));
  }
  if (own.seq < mark.seq) {
    // The state is as of this cluster already; what is stored tells whether it was of another one.
    const stored = here.state?.cluster ?? state.cluster;
    if (stored !== state.cluster) {
      return go("cluster-replaced", withIncident(settled(state), replaced(here, state, stored)));
    }
    return go("cluster-behind", withIncident(settled(state), clusterBehind(state, own)));
  }
  const there = here.markAt(own.seq);
  if (there === undefined || !isSame(own, there.mark)) return fork(here, state, own);
  return go(
    "caught-up",
    withIncident(settled({ ...state, ...there }), caughtUp(state, there.number)),
  );
}

function fork(here: Here, state: LaneState, own: Mark): Reconciled {
  const forked: LaneState = {
    ...state,
    mark: { outbox: here.freshOutbox, seq: 0, digest: emptyDigest },
    there: undefined,
    boots: [],
    before: [own, ...state.before].slice(0, marksMax),
    forkedFrom: `${own.outbox}:${state.mark.seq}`,
    intent: undefined,
  };
  return go(
    "forked",
    withIncident(forked, {
      first: state.number,
      next: state.intent?.number ?? state.number,
      what: `the cluster has ${own.seq} records of outbox ${own.outbox}, this agent knows of ${state.mark.seq}, and what follows differs: its data is a restored copy or a clone; it goes on as outbox ${here.freshOutbox} from record ${state.number} on, and what the other one sent from ${state.mark.seq} on may be there twice`,
    }),
  );
}

/** No cursor tells of our records. */
function withoutCursor(here: Here, base: LaneState, stored: LaneState): Reconciled {
  const { mark, number, there, intent } = stored;
  const next = intent?.number ?? number;
  if (stored.cluster !== here.cluster) {
    if (mark.seq === 0 && intent === undefined) return go("begun", base);
    return go(
      "cluster-replaced",
      withIncident(settled(base), replaced(here, stored, stored.cluster)),
    );
  }
  if (there === undefined) {
    return go(mark.seq === 0 ? "begun" : "resumed", settled(doubted(base)));
  }
  const doubt =
    intent === undefined
      ? "nothing was under way, and what this agent remembers as sent is not sent again"
      : `records ${number} to ${next - 1} were under way and may be there twice`;
  const what = `the cluster has no cursor of ${stored.agent} any more: it was deleted, or its topic; ${doubt}`;
  return go("cursor-lost", withIncident(settled(base), { first: number, next, what }));
}

// ---- marks ----

/** The life that the lane goes on with; absent where the name was never given away. */
function livedOn({ life = 0 }: Here, cursor: Cursor | undefined): Pick<LaneState, "life"> {
  const latest = Math.max(life, cursor?.life ?? 0);
  return latest === 0 ? {} : { life: latest };
}

/** The newest process in the cursor is none of ours, and it was not there when we last looked. */
function isUnknown({ boots, mark }: Cursor, state: LaneState): boolean {
  // Nobody writes our outbox from behind our mark: the cluster lost something.
  if (mark.outbox === state.mark.outbox && mark.seq < state.mark.seq) return false;
  const newest = boots.at(-1)?.id;
  const isOurs = state.boots.some(({ id }) => id === newest);
  return !isOurs && !isSame(mark, state.mark) && !state.before.some((known) => isSame(known, mark));
}

function ownMark(cursor: Cursor | undefined, outbox: string): Mark | undefined {
  if (cursor === undefined) return undefined;
  return [cursor.mark, ...cursor.before].find((mark) => mark.outbox === outbox);
}

/** The outboxes of others, as the cursor has them, else as we knew them. */
function marksBefore(cursor: Cursor | undefined, state: LaneState | undefined): readonly Mark[] {
  const marks = cursor === undefined ? (state?.before ?? []) : [cursor.mark, ...cursor.before];
  return marks.filter(({ outbox }) => outbox !== state?.mark.outbox).slice(0, marksMax);
}

function isSame(a: Mark, b: Mark): boolean {
  return a.outbox === b.outbox && a.seq === b.seq && a.digest === b.digest;
}

/** As it is in this cluster: places of another mean nothing in it. */
function asOf(cluster: string, state: LaneState): LaneState {
  return { ...state, cluster, place: state.cluster === cluster ? state.place : undefined };
}

/** What was under way without a transaction may be there, whatever the cursor says. */
function doubted(state: LaneState): LaneState {
  const { number, intent } = state;
  if (intent?.delivery !== "upsert") return state;
  const what = `records ${number} to ${intent.number - 1} were under way without a transaction and may be there twice`;
  return withIncident(state, { first: number, next: intent.number, what });
}

/** Nothing is under way. */
function settled(state: LaneState): LaneState {
  return { ...state, intent: undefined };
}

function go(verdict: Verdict, state: LaneState): Reconciled {
  return { kind: "go", verdict, state };
}

// ---- sentences ----

function replaced({ cluster }: Here, { number, intent }: LaneState, before: string): Incident {
  const what = `the cluster is another one (${cluster}, it was ${before}): what was sent before record ${number} is in the old one, or in both`;
  return { first: number, next: intent?.number ?? number, what };
}

function takenOver({ agent, number }: LaneState, { mark }: Cursor): Incident {
  const what = `outbox ${mark.outbox} has written ${mark.seq} records as ${agent}, which this agent takes over: another gateway, which halts if it still runs and needs a name of its own, or this one before its data directory was replaced; records that both have are there under both outboxes`;
  return { first: number, next: number, what };
}

function caughtUp({ mark, number }: LaneState, next: number): Incident {
  const what = `the cluster had ${next - number} records more than this agent remembered, all the same as here: its data is a restored copy; nothing is lost or repeated`;
  return { first: number, next, what: `${what} (outbox ${mark.outbox})` };
}

function clusterBehind({ mark, number }: LaneState, own: Mark): Incident {
  const what = `the cluster acknowledged ${mark.seq} records of outbox ${mark.outbox} and now has ${own.seq}: it lost what lies between, and so has this gateway; restored from a copy?`;
  return { first: number, next: number, what };
}

function identityInUse(agent: string, { mark, boots }: Cursor): string {
  return `another agent writes as ${agent} (outbox ${mark.outbox}, process ${boots.at(-1)?.id ?? "unknown"}): sending stops here and records are kept; give one of the two another name, or stop the other and restart this one`;
}

function replacedBy(agent: string, { mark, life }: Cursor): string {
  return `this gateway was replaced: weir restore --from-kafka gave the name ${agent} to other hardware (life ${life ?? 0} of it, outbox ${mark.outbox}): sending stops here and records are kept; give this one another name if it is to send again`;
}
