/**
 * Requests for raw readings, and their answers: read from what is stored, a little at a time, and put into
 * the outbox beside what operators emit (docs/delivery.md).
 *
 *   ask ─▶ stored ─▶ the first in order ─▶ read ─▶ parts + cursor, one transaction ─▶ ... ─▶ manifest
 *                     priority, arrival      ▲            │ no room: wait for an uplink
 *                                            └────────────┘
 *
 * After a crash the answer goes on behind the last part that is stored: no reading of it is there twice,
 * and none is missing. Reading waits while the queue of raw readings is full, so whatever is asked for
 * takes its share of the outbox and no more. A snapshot is held for at most `queryMs`.
 */

import { assert } from "../../core/assert.ts";
import type { Catalog } from "../../core/catalog.ts";
import type { Clock, Kv, KvWrite, Random } from "../../core/doors.ts";
import { isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { RawOutcome } from "../../core/record.ts";
import { type SeriesId } from "../../core/units.ts";
import { encodeRaw } from "../../store/outbox/raw-codec.ts";
import { behindKeys, rawRequestKey, rawRequestPrefix } from "../../store/state/kv-key.ts";
import type { StateStore } from "../../store/state/state-store.ts";
import { Stopped } from "../../store/tables/pace.ts";
import { digestAfter } from "../../sync/kafka/cursor.ts";
import type { PendingOutputs } from "../outputs.ts";
import type { Query } from "../query/queries.ts";
import { AlertShare } from "./alert-share.ts";
import { wheresOf, whyMalformed } from "./raw-check.ts";
import { type RawChunk, rawChunks } from "./raw-chunks.ts";
import { manifestOf, reported } from "./raw-manifest.ts";
import {
  decodeRequest,
  dueOf,
  encodeRequest,
  isEnd,
  isOpen,
  newRequest,
  orderOf,
  type RawAsk,
  type RawEnd,
  type RawRequest,
  type RawStatus,
  statusOf,
} from "./raw-request.ts";

export type RawAnswersOptions = {
  readonly agent: string;
  readonly store: StateStore;
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly random: Random;
  /** A query of its own: not one of the few that clients share. */
  readonly openQuery: () => Query;
  /** Whether anybody is to get the answers. */
  readonly hasUplinks: boolean;
  /** There is more in the outbox. */
  readonly onStored: () => void;
};

export type AskOutcome =
  | { readonly kind: "asked" | "known"; readonly request: RawRequest }
  /** It is not stored; the message says why. */
  | { readonly kind: "malformed" | "tooMany"; readonly message: string }
  /** The id is that of a request which asks for something else. */
  | { readonly kind: "conflict"; readonly message: string; readonly known: RawRequest };

/** Requests on their way into a commit. */
export type PreparedAsks = {
  readonly writes: readonly KvWrite[];
  /** They are durable. */
  readonly stored: () => void;
};

export type RawCounters = {
  readonly open: number;
  /** As far as they are remembered. */
  readonly answered: number;
  /** Since the process began: readings put into the outbox, and requests that ended, by how. */
  readonly readings: number;
  readonly ended: Readonly<Record<RawEnd, number>>;
  /** Alerts that asked for nothing, since then: others had their share. */
  readonly unasked: number;
  /** Why nothing is read now; absent while all is well. */
  readonly trouble?: string;
};

export class RawAnswers {
  readonly #options: RawAnswersOptions;
  readonly #requests = new Map<string, RawRequest>();
  #next = 0;
  #running: Promise<void> | undefined;
  #isRunning = false;
  #query: Query | undefined;
  #cancelTimer: (() => void) | undefined;
  #goOn: (() => void) | undefined;
  #isClosed = false;
  /** What was to be put last did not fit. */
  #wantsAll = false;
  #tail: Promise<void> = Promise.resolve();
  #trouble: string | undefined;
  #readings = 0;
  readonly #alertShare: AlertShare;
  readonly #ended: Record<RawEnd, number> = { done: 0, refused: 0, cancelled: 0 };

  /** Faults: STORE_FAILED where a stored request is damaged. */
  constructor(options: RawAnswersOptions) {
    this.#options = options;
    this.#alertShare = new AlertShare(options.clock);
    const stored = options.kv.range({
      from: rawRequestPrefix,
      to: behindKeys(rawRequestPrefix),
      limit: limits.rawRequestsMax + limits.rawAnsweredKept + 1,
    });
    const requests = stored.map(({ key, value }) =>
      decodeRequest(key.slice(rawRequestPrefix.length), value, `the state store's ${key}`),
    );
    for (const request of requests.toSorted((a, b) => a.number - b.number)) {
      this.#requests.set(request.id, request);
      this.#next = request.number + 1;
    }
    options.store.onAdvanced(() => this.#goOn?.());
  }

  /** In order of arrival, those answered among them as far as they are remembered. */
  get status(): readonly RawStatus[] {
    return [...this.#requests.values()].map(statusOf);
  }

  get counters(): RawCounters {
    const open = this.#open().length;
    const requests = {
      open,
      answered: this.#requests.size - open,
      readings: this.#readings,
      ended: { ...this.#ended },
      unasked: this.#alertShare.refused,
    };
    return this.#trouble === undefined ? requests : { ...requests, trouble: this.#trouble };
  }

  /** Goes on with what is open. */
  start(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#isClosed || this.#isRunning) return;
    this.#isRunning = true;
    this.#running = this.#run();
  }

  /**
   * Stored when it resolves, with `writes` in the same transaction where it is a new request. The same id
   * is the same request, as long as it is remembered. `asked`: by which now its range was meant, ms; absent:
   * now.
   */
  async ask(
    ask: Omit<RawAsk, "id"> & { readonly id?: string | undefined; readonly asked?: number },
    writes: readonly KvWrite[] = [],
  ): Promise<AskOutcome> {
    const named = { ...ask, id: ask.id ?? this.#newId() };
    const now = ask.asked ?? this.#options.clock.now();
    const malformed = this.#options.hasUplinks
      ? whyMalformed(named, now)
      : "no uplink is configured: nobody would get the answer";
    if (malformed !== undefined) return { kind: "malformed", message: malformed };
    let outcome: AskOutcome | undefined;
    // In turn: of several at once each is told what is stored, and no more than the bound are.
    await this.#inTurn(async () => {
      outcome = await this.#store(named, now, writes);
    });
    assert(outcome !== undefined, "a turn that was not taken throws");
    if (outcome.kind === "asked") this.start();
    return outcome;
  }

  /**
   * Says upstream, by a manifest without readings, that what was asked for there is not answered; stored
   * with `writes` when it resolves. `full`: there is no room in the queue of raw readings now.
   */
  async refuse(
    ask: RawAsk,
    reason: string,
    writes: readonly KvWrite[] = [],
  ): Promise<"refused" | "known" | "full"> {
    const now = this.#options.clock.now();
    let outcome: "refused" | "known" | "full" = "known";
    await this.#inTurn(async () => {
      if (this.#requests.has(ask.id)) return;
      const begun = newRequest(ask, { number: this.#next, asked: now, due: now });
      const request: RawRequest = { ...begun, state: "refused", reason };
      const manifest = this.#manifest(request, "refused");
      outcome = (await this.#add(request, [manifest], writes)) ? "refused" : "full";
      if (outcome === "refused") this.#next += 1;
    });
    return outcome;
  }

  /**
   * Requests that alerts make, to be stored by the commit that makes the alerts durable: with `writes`,
   * and `stored` called when they are. What is beyond the share of alerts is left out and counted.
   */
  prepare({ first, more }: PendingOutputs["asks"]): PreparedAsks {
    const now = this.#options.clock.now();
    this.#alertShare.refused += more;
    const requests = first.flatMap(({ afterMs, ...ask }) => {
      if (!this.#options.hasUplinks || this.#requests.has(ask.id)) return [];
      if (!this.#alertShare.take(this.#open())) return [];
      // What is raised now is over in so long, however far behind this clock may be.
      const due = Math.min(dueOf(ask, now), now + afterMs + limits.rawSettleMs);
      return [newRequest(ask, { number: this.#next++, asked: now, due })];
    });
    return {
      writes: requests.map(writeOf),
      stored: () => {
        this.#alertShare.stored(requests.length);
        for (const request of requests) this.#requests.set(request.id, request);
        if (requests.length > 0) this.start();
      },
    };
  }

  /** What was sent stays; a manifest says so. False where there is no open request of this id. */
  async cancel(id: string, writes: readonly KvWrite[] = []): Promise<boolean> {
    let isDone = false;
    await this.#inTurn(async () => {
      const request = this.#requests.get(id);
      if (request?.state !== "open") return;
      const cancelling: RawRequest = { ...request, state: "cancelling" };
      await this.#options.store.advance([writeOf(cancelling), ...writes]);
      this.#requests.set(id, cancelling);
      isDone = true;
    });
    if (!isDone) return false;
    this.start();
    return true;
  }

  /** Ends at the next reading; what is open goes on in the next life. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTimer?.();
    this.#query?.stop("closing");
    this.#goOn?.();
    await this.#running;
  }

  // ---- asking ----

  #newId(): string {
    const { clock, random } = this.#options;
    return `raw-${Math.trunc(clock.now())}-${random.uint32().toString(16).padStart(8, "0")}`;
  }

  async #store(ask: RawAsk, now: number, writes: readonly KvWrite[]): Promise<AskOutcome> {
    const known = this.#requests.get(ask.id);
    if (known !== undefined) return this.#again(known, ask);
    if (this.#open().length >= limits.rawRequestsMax) {
      const message = `${limits.rawRequestsMax} requests are open: wait for one, or cancel one`;
      return { kind: "tooMany", message };
    }
    const request = newRequest(ask, { number: this.#next, asked: now, due: dueOf(ask, now) });
    this.#next += 1;
    await this.#options.store.advance([writeOf(request), ...writes]);
    this.#requests.set(request.id, request);
    return { kind: "asked", request };
  }

  #again(known: RawRequest, ask: RawAsk): AskOutcome {
    const isSame =
      known.from === ask.from &&
      known.to === ask.to &&
      JSON.stringify(known.select) === JSON.stringify(ask.select);
    if (isSame) return { kind: "known", request: known };
    const message = `the request ${ask.id} is there with another range or selector: take another id`;
    return { kind: "conflict", message, known };
  }

  /** Those that are not needed any more, the oldest first. */
  #forgotten(): readonly string[] {
    const answered = [...this.#requests.values()].filter((request) => !isOpen(request));
    const count = Math.max(0, answered.length - limits.rawAnsweredKept);
    return answered.slice(0, count).map(({ id }) => id);
  }

  // ---- answering ----

  /** Those whose answer is not whole. */
  #open(): readonly RawRequest[] {
    return [...this.#requests.values()].filter(isOpen);
  }

  #first(): RawRequest | undefined {
    const now = this.#options.clock.now();
    const [first] = this.#open()
      .filter(({ due, state }) => due <= now || state === "cancelling")
      .toSorted((a, b) => orderOf(a) - orderOf(b) || a.number - b.number);
    return first;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    let troubles = 0;
    while (!this.#isClosed) {
      const request = this.#first();
      if (request === undefined) break;
      if (!this.#hasRoom()) {
        await this.#wait(limits.rawLookMs);
        continue;
      }
      try {
        await this.#answer(request);
        this.#trouble = undefined;
        troubles = 0;
      } catch (error) {
        if (error instanceof Stopped) continue;
        if (!isEnvironmental(error)) throw error;
        this.#trouble = error.message;
        troubles += 1;
        await this.#wait(Math.min(limits.diskRetryMs * troubles, limits.wakeMsMax));
      }
    }
    // In one step with the last look: who asks from now on starts it again.
    this.#isRunning = false;
    if (!this.#isClosed) this.#startLater(clock);
  }

  /** Looks again when the next request is due; the clock may be set meanwhile. */
  #startLater(clock: Clock): void {
    const due = Math.min(...this.#open().map((request) => request.due));
    if (due === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.min(Math.max(due - clock.now(), 1), limits.wakeMsMax);
    this.#cancelTimer = clock.after(delayMs, () => this.start());
  }

  /** A full queue is half empty before anything is read for it again; what did not fit then waits for all of it. */
  #hasRoom(): boolean {
    const { bytes, bytesMax } = this.#options.store.room("raw");
    return bytes === 0 || (!this.#wantsAll && bytes <= bytesMax / 2);
  }

  /** Over early when an uplink is further, or at the end. */
  async #wait(delayMs: number): Promise<void> {
    if (this.#isClosed) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(delayMs, resolve);
      this.#goOn = () => {
        cancel();
        resolve();
      };
    });
    this.#goOn = undefined;
  }

  /** As far as it is the first and there is room, for one snapshot. Throws Stopped. */
  async #answer(request: RawRequest): Promise<void> {
    if (request.state === "cancelling") {
      await this.#finish(request, "cancelled");
      return;
    }
    using query = this.#options.openQuery();
    this.#query = query;
    query.defer(this.#options.clock.after(limits.queryMs, () => query.stop("deadline")));
    const wheres = wheresOf(request.select);
    if (typeof wheres === "string") {
      await this.#finish({ ...request, reason: wheres }, "refused");
      return;
    }
    const selected = await query.select(wheres, limits.rawSeriesMax);
    if (selected.kind === "tooMany") {
      const reason = `it selects ${selected.count} series, more than ${limits.rawSeriesMax}: ask for fewer`;
      await this.#finish({ ...request, reason }, "refused");
      return;
    }
    await this.#send(request, query, selected.ids);
  }

  async #send(begun: RawRequest, query: Query, ids: readonly SeriesId[]): Promise<void> {
    const { cursor, from, to } = begun;
    let request = begun;
    let records: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of rawChunks(query, { ids, range: { from, to }, cursor })) {
      const { record, after } = this.#part(request, chunk);
      request = reported(after, query);
      records.push(record);
      bytes += record.length;
      if (bytes < limits.rawCommitBytes) continue;
      if (!(await this.#put(request, records))) return;
      if (this.#first()?.id !== request.id) return;
      records = [];
      bytes = 0;
    }
    request = reported(request, query);
    const isPartial = request.damaged || request.coarser.length > 0;
    await this.#finish(request, isPartial ? "partial" : "complete", records);
  }

  /** The next record of an answer, and the request behind it. */
  #part(
    request: RawRequest,
    { series, cursor, ...columns }: RawChunk,
  ): { readonly record: Uint8Array; readonly after: RawRequest } {
    const record = encodeRaw(this.#options.agent, {
      kind: "raw",
      request: request.id,
      part: request.parts,
      ...this.#namesOf(series),
      ...columns,
    });
    const known = request.counts.get(series);
    const readings = columns.times.length;
    const last = columns.times[readings - 1] ?? cursor.time;
    const first = known?.first ?? columns.times[0] ?? last;
    const count = { readings: (known?.readings ?? 0) + readings, first, last };
    const after = {
      ...request,
      parts: request.parts + 1,
      readings: request.readings + readings,
      digest: digestAfter(request.digest, record),
      cursor,
      counts: new Map([...request.counts, [series, count]]),
    };
    return { record, after };
  }

  /** The last records, the manifest, and that it is answered. */
  async #finish(
    request: RawRequest,
    outcome: RawOutcome,
    records: readonly Uint8Array[] = [],
  ): Promise<void> {
    const manifest = this.#manifest(request, outcome);
    const state = outcome === "partial" || outcome === "complete" ? "done" : outcome;
    const over: RawRequest = { ...request, state, cursor: undefined, counts: new Map() };
    await this.#put(over, [...records, manifest]);
  }

  #manifest(request: RawRequest, outcome: RawOutcome): Uint8Array {
    const namesOf = (series: SeriesId) => this.#namesOf(series);
    return manifestOf(request, { agent: this.#options.agent, outcome, namesOf });
  }

  #namesOf(series: SeriesId): { readonly source: string; readonly series: string } {
    const { catalog } = this.#options;
    const { source } = catalog.device(catalog.series(series).device);
    return { source: catalog.source(source), series: catalog.seriesName(series) };
  }

  /** Records and how far the request is, in one transaction. False where there is no room, or it was cancelled meanwhile. */
  async #put(request: RawRequest, records: readonly Uint8Array[]): Promise<boolean> {
    let isStored = false;
    await this.#inTurn(async () => {
      const isCancelled = this.#requests.get(request.id)?.state === "cancelling";
      if (isCancelled && request.state !== "cancelled") return;
      isStored = await this.#add(request, records);
      this.#wantsAll = !isStored;
    });
    return isStored;
  }

  /** In its turn. False where there is no room. */
  async #add(
    request: RawRequest,
    records: readonly Uint8Array[],
    writes: readonly KvWrite[] = [],
  ): Promise<boolean> {
    const forgotten = isOpen(request) ? [] : this.#forgotten();
    const gone = forgotten.map((id) => ({ key: rawRequestKey(id), value: undefined }));
    const { store, onStored } = this.#options;
    if (!(await store.addRaw(records, [writeOf(request), ...writes, ...gone]))) return false;
    for (const id of forgotten) this.#requests.delete(id);
    this.#readings += request.readings - (this.#requests.get(request.id)?.readings ?? 0);
    if (isEnd(request.state)) this.#ended[request.state] += 1;
    this.#requests.set(request.id, request);
    onStored();
    return true;
  }

  /** One change of a request after another. */
  #inTurn(run: () => Promise<void>): Promise<void> {
    const turn = this.#tail.then(run);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }
}

function writeOf(request: RawRequest): KvWrite {
  return { key: rawRequestKey(request.id), value: encodeRequest(request) };
}
