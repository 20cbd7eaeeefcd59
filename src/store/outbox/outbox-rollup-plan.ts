/**
 * Which summaries of a run of outbox blocks become coarser ones: one tier of resolutions, all keys of
 * the run. Pure but for what a pass remembers of each key from run to run.
 *
 *   key p1, tier 1 min    before  | . . . . a a | b b b b b b | c c c c c c | d d d
 *                         after   | . . . . a a |      B      |      C      | d d d
 *                                   ^ sent        ^ horizon                   ^ the next may follow
 *
 * An interval of a key is merged as a whole or not at all. It is merged when
 *
 *   - no member of it can have been sent: it begins at or after the key's horizon, which is where the
 *     key's first record of the segment begins, and the allowed lateness more, since a late window
 *     may follow others that were sent
 *   - no further member or correction can come: the key has a record in the run that ends the allowed
 *     lateness after the interval, and the dataflow emits the last revision of a window before that
 *   - each window in it has its revision 0 here: none is the correction of one that was sent
 *   - nothing of it was dropped: it begins behind all gaps of its key
 *   - all of it lies in the run. Members that a pass leaves behind move the horizon behind them
 *
 * Completeness markers among what changes go behind all of it, the newest of each key: what they speak of
 * stays before them.
 *
 * Of several revisions of a window the newest counts. Where windows are not merged (sessions, sliding
 * windows), a newer revision still takes the place of those before it. A marker between the two may speak
 * of the one that goes, of a session that had grown beyond what is complete: then what changes reaches to
 * the newer one, and the marker goes behind that.
 */

import type { Summary } from "../../core/record.ts";
import { millis } from "../../core/units.ts";
import { decodeRecord, encodeSummary } from "./record-codec.ts";
import { idOf, pipelineIn, type RecordId } from "./record-id.ts";
import type { GapEnds } from "./gap-ends.ts";
import { mergeSummaries } from "./summary-merge.ts";

/** Windows of a pipeline, of one of its versions; `sizeMs` is 0 where they are no tumbling ones. */
export type PipelineWindow = { readonly sizeMs: number; readonly latenessMs: number };

/** What a pass knows of a key. */
type KeyState = {
  /** agent/pipeline/key, as in ids. */
  readonly name: string;
  readonly window: PipelineWindow | undefined;
  /** No interval that begins before is merged. */
  horizon: number;
  /** Latest end of its records. */
  newest: number;
};

/** One pass over a segment, from its low end to its high end. */
export type TierPass = {
  readonly tierMs: number;
  /** Number at which it goes on. */
  from: number;
  readonly keys: Map<string, KeyState>;
};

export type PlanOptions = {
  /** Called often: resolves when others had their turn. */
  readonly breathe: () => Promise<void>;
  /** More follows that is not in the run: the pass moves on by half of this one at least. */
  readonly isCut: boolean;
  readonly keysMax: number;
  /** By name of the pipeline as in its records. */
  readonly windowOf: (pipeline: string) => PipelineWindow | undefined;
  readonly gapEnds: GapEnds;
};

export type RunPlan = {
  /** What takes the place of the blocks [blockFirst, blockEnd); empty where nothing is merged. */
  readonly records: readonly Uint8Array[];
  readonly blockFirst: number;
  readonly blockEnd: number;
  /** Summaries that coarser ones, or newer revisions, take the place of. */
  readonly merged: number;
  /** Coarser summaries, and the readings in them. */
  readonly coarser: number;
  readonly readings: number;
  /** The pass goes on with this record of the run, before the merge; undefined: behind the run. */
  readonly resume: Entry | undefined;
};

/** A record of the run, as far as its id tells; `key` is absent where it is no summary. */
export type Entry = {
  readonly bytes: Uint8Array;
  /** Its block in the run, and its place there. */
  readonly block: number;
  readonly index: number;
  readonly key: KeyState | undefined;
  /** agent/pipeline/key of a completeness marker. */
  readonly marks: string | undefined;
  readonly start: number;
  readonly resolution: number;
  readonly revision: number;
  group: Group | undefined;
  isSuperseded: boolean;
  /** Index in `records` of what takes its place. */
  place: number;
};

/** An interval of a key. */
type Group = {
  readonly key: KeyState;
  readonly start: number;
  /** By start of the window: its newest revision. */
  readonly members: Map<number, Entry>;
  /** One of the windows lacks its revision 0. */
  isCorrection: boolean;
  last: Entry;
};

/** `records`: by block. Moves horizons of `pass`; its `from` is the caller's to move. */
export async function planRun(
  pass: TierPass,
  records: readonly (readonly Uint8Array[])[],
  options: PlanOptions,
): Promise<RunPlan> {
  const { breathe, isCut, gapEnds } = options;
  const grouping = new Grouping(pass.tierMs);
  for (const [block, ofBlock] of records.entries()) {
    for (const [index, bytes] of ofBlock.entries()) {
      grouping.add(entryOf(pass, bytes, { at: { block, index }, options }));
    }
    await breathe();
  }
  const { entries, groups } = grouping;
  const ready = new Set(
    groups.filter(
      (group) => isReady(group, pass.tierMs) && group.start >= gapEnds.of(group.key.name),
    ),
  );
  const soonest = isCut ? Math.ceil(records.length / 2) : 0;
  const resume = resumeAt(grouping, { soonest, ready, tierMs: pass.tierMs });
  await breathe();
  leaveBehind(entries, { resume, ready, tierMs: pass.tierMs });
  const isGone = (entry: Entry): boolean =>
    entry.isSuperseded || (entry.group !== undefined && ready.has(entry.group));
  const gone = entries.filter(isGone);
  const blockFirst = gone[0]?.block ?? 0;
  const blockEnd = Math.max(gone.at(-1)?.block ?? -1, grouping.markedThrough) + 1;
  const out: Uint8Array[] = [];
  const markers = new Map<string, Uint8Array>();
  let coarser = 0;
  let readings = 0;
  for (const entry of entries) {
    if (entry.block < blockFirst || entry.block >= blockEnd) continue;
    entry.place = out.length;
    if (entry.marks !== undefined) {
      markers.set(entry.marks, entry.bytes);
    } else if (!isGone(entry)) {
      out.push(entry.bytes);
    } else if (entry.group?.last === entry) {
      const { bytes, count } = coarserOf(entry.group, pass.tierMs);
      out.push(bytes);
      coarser += 1;
      readings += count;
      await breathe();
    }
  }
  for (const marker of markers.values()) out.push(marker);
  const merged = gone.length;
  return { records: out, blockFirst, blockEnd, merged, coarser, readings, resume };
}

// ---- reading ----

type EntryPlace = { readonly block: number; readonly index: number };

function entryOf(
  pass: TierPass,
  bytes: Uint8Array,
  { at, options }: { readonly at: EntryPlace; readonly options: PlanOptions },
): Entry {
  const any = idOf(bytes);
  if (any?.kind === "gap") options.gapEnds.found(any);
  const id = any?.kind === "summary" ? any : undefined;
  const key = id && keyStateOf(pass, id, options);
  const { start, resolution, revision } = id ?? { start: 0, resolution: 0, revision: 0 };
  if (key !== undefined) key.newest = Math.max(key.newest, start + resolution);
  const marks = any?.kind === "complete" ? any.name : undefined;
  const fresh = { marks, group: undefined, isSuperseded: false, place: 0 };
  return { bytes, ...at, key, start, resolution, revision, ...fresh };
}

type SummaryId = Extract<RecordId, { readonly kind: "summary" }>;

function keyStateOf(
  pass: TierPass,
  { name, start }: SummaryId,
  { keysMax, windowOf }: PlanOptions,
): KeyState | undefined {
  const known = pass.keys.get(name);
  if (known !== undefined || pass.keys.size >= keysMax) return known;
  const window = windowOf(pipelineIn(name));
  const horizon = start + (window?.latenessMs ?? 0);
  const tumbling = window?.sizeMs === 0 ? undefined : window;
  const state: KeyState = { name, window: tumbling, horizon, newest: Number.NEGATIVE_INFINITY };
  pass.keys.set(name, state);
  return state;
}

// ---- grouping ----

/** Of one session or sliding window: a marker after the oldest speaks of what the newest stands for. */
type Revisions = { readonly oldest: Entry; readonly newest: Entry };

/** Gives entries their groups, and marks what a newer revision takes the place of. */
class Grouping {
  readonly entries: Entry[] = [];
  readonly groups: Group[] = [];
  /** Block of the last revision that stands for one before a marker of its key; -1: none does. */
  markedThrough = -1;
  readonly #tierMs: number;
  readonly #byKey = new Map<KeyState, Map<number, Group>>();
  /** Of sessions and sliding windows, by start and length. */
  readonly #windows = new Map<KeyState, Map<string, Revisions>>();
  /** By key, the last marker. */
  readonly #markers = new Map<string, Entry>();

  constructor(tierMs: number) {
    this.#tierMs = tierMs;
  }

  add(entry: Entry): void {
    this.entries.push(entry);
    const { key, marks } = entry;
    if (marks !== undefined) this.#markers.set(marks, entry);
    if (key === undefined) return;
    if (key.window === undefined) this.#supersede(key, entry);
    else if (isMember(entry, key.window, this.#tierMs)) join(this.#groupOf(key, entry), entry);
  }

  #groupOf(key: KeyState, entry: Entry): Group {
    const start = Math.floor(entry.start / this.#tierMs) * this.#tierMs;
    const ofKey = inMap(this.#byKey, key, () => new Map<number, Group>());
    return inMap(ofKey, start, () => {
      const members = new Map<number, Entry>();
      const group = { key, start, members, isCorrection: false, last: entry };
      this.groups.push(group);
      return group;
    });
  }

  #supersede(key: KeyState, entry: Entry): void {
    const ofKey = inMap(this.#windows, key, () => new Map<string, Revisions>());
    const name = `${entry.start}/${entry.resolution}`;
    const before = ofKey.get(name);
    ofKey.set(name, { oldest: before?.oldest ?? entry, newest: entry });
    if (before === undefined) return;
    before.newest.isSuperseded = true;
    const marker = this.#markers.get(key.name);
    if (marker !== undefined && isAfter(marker, before.oldest)) this.markedThrough = entry.block;
  }
}

function isAfter(entry: Entry, other: Entry): boolean {
  return entry.block > other.block || (entry.block === other.block && entry.index > other.index);
}

function isMember(
  { start, resolution }: Entry,
  { sizeMs }: PipelineWindow,
  tierMs: number,
): boolean {
  return (
    resolution >= sizeMs &&
    resolution <= tierMs &&
    tierMs % resolution === 0 &&
    start % resolution === 0 &&
    sizeMs < tierMs
  );
}

function join(group: Group, entry: Entry): void {
  entry.group = group;
  group.last = entry;
  const before = group.members.get(entry.start);
  if (before === undefined && entry.revision > 0) group.isCorrection = true;
  // Two resolutions that begin together are no two revisions of one window.
  if (before !== undefined && before.resolution !== entry.resolution) group.isCorrection = true;
  if (before === undefined || before.revision <= entry.revision) {
    group.members.set(entry.start, entry);
  }
}

function inMap<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function isReady(group: Group, tierMs: number): boolean {
  const { key, start, members, isCorrection } = group;
  // One window alone gains nothing; it becomes part of a coarser tier.
  return members.size > 1 && !isCorrection && start >= key.horizon && isFinal(group, tierMs);
}

function isFinal({ key, start }: Group, tierMs: number): boolean {
  return key.newest >= start + tierMs + (key.window?.latenessMs ?? 0);
}

// ---- where the pass goes on ----

/** The first record of an interval that is not final and may become so soon. */
function resumeAt(
  { entries, groups }: Grouping,
  at: {
    /** Not before this block. */
    readonly soonest: number;
    readonly ready: ReadonlySet<Group>;
    readonly tierMs: number;
  },
): Entry | undefined {
  const { soonest, ready, tierMs } = at;
  const newest = groups.reduce(
    (latest, { key }) => Math.max(latest, key.newest),
    Number.NEGATIVE_INFINITY,
  );
  return entries.find(({ block, group }) => {
    if (block < soonest || group === undefined || ready.has(group) || isFinal(group, tierMs))
      return false;
    return group.start + 3 * tierMs + (group.key.window?.latenessMs ?? 0) > newest;
  });
}

/** What the pass does not see again is not merged by it, nor what else is in its interval. */
function leaveBehind(
  entries: readonly Entry[],
  at: {
    readonly resume: Entry | undefined;
    readonly ready: ReadonlySet<Group>;
    readonly tierMs: number;
  },
): void {
  for (const entry of entries) {
    if (entry === at.resume) return;
    const { group, key } = entry;
    if (group === undefined || key === undefined || at.ready.has(group)) continue;
    key.horizon = Math.max(key.horizon, group.start + at.tierMs);
  }
}

// ---- merging ----

function coarserOf(
  { members, start }: Group,
  tierMs: number,
): { readonly bytes: Uint8Array; readonly count: number } {
  const sorted = [...members.values()].toSorted((a, b) => a.start - b.start);
  let agent = "";
  const parts = sorted.map(({ bytes }): Summary => {
    const { agent: of, record } = decodeRecord(bytes, "a record of the outbox");
    agent = of;
    if (record.kind !== "summary") throw new Error("the id of a summary is that of a summary");
    return record;
  });
  const interval = { start: millis(start), end: millis(start + tierMs) };
  const summary = mergeSummaries(parts, interval);
  return { bytes: encodeSummary(agent, summary), count: summary.count };
}
