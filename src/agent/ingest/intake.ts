/**
 * Receive, the first verb: messages become rows of the open batch, in one of two halves.
 *
 *   topic --TopicTable--> Route --+--> scan: bytes -> rows, nothing new in it        (nearly always)
 *                                 +--> parse -> flatten -> names get ids -> rows     (the rest)
 *                                 +--> dead letter, with reason and bytes            (not decodable)
 *
 *   open --seal--> frame, valid until recycle;   recycled --seal--> open
 *
 * Messages come from several origins: our own broker, and external ones, each with sources of its own.
 * A receiver per origin looks topics up; everything behind it is shared.
 *
 * Invariants: a message is taken whole or not at all; every message taken is counted once, as decoded
 * or as a dead letter, in the same frame as its readings; a definition stands in the frame of the
 * first row that uses it, or in an earlier one. Only the slow path defines and makes slots, so the
 * scanners never change what they are matched against.
 */

import { assert } from "../../core/assert.ts";
import type { Catalog } from "../../core/catalog.ts";
import type { Clock } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import type { Definition, Frame } from "../../core/frame.ts";
import { limits as coreLimits } from "../../core/limits.ts";
import type { Millis, SourceId } from "../../core/units.ts";
import type { Refusal } from "./decode/decoder.ts";
import { Draft } from "./decode/draft.ts";
import { flatten } from "./decode/flatten.ts";
import { offsetOfKeys } from "./decode/places.ts";
import { createDecoders, type Decoders, formatOf } from "./decode/registry.ts";
import { textOf } from "./decode/text.ts";
import { Names } from "./names.ts";
import { OpenFrame } from "./open-frame.ts";
import { NO_SOURCE, type Receiver } from "./receiver.ts";
import { createRoute, type Route } from "./route.ts";
import { definitionBytesAverage, RowWriter } from "./row-writer.ts";
import { Slots } from "./slots.ts";
import { rulesOf, type SourceConfig, type SourceRules } from "./source-config.ts";
import { TopicTable } from "./topic-table.ts";
import { matchTopic, parseTemplate, type TopicTemplate } from "./topic-template.ts";

export type IntakeLimits = { readonly [Name in IntakeLimitName]: number };

type IntakeLimitName =
  | "batchRowsMax"
  | "readingsPerMessageMax"
  | "nestingMax"
  | "topicsMax"
  | "topicBytesMax"
  | "slotsMax"
  | "devicesMax"
  | "seriesMax"
  | "symbolsMax"
  | "symbolBytesMax"
  | "metricsPerDeviceMax"
  | "metricBytesMax"
  | "deadLetterBytesMax"
  | "deadLettersPerFrameMax"
  | "definitionsPerFrameMax";

type IntakeOptions = {
  /** Holds what earlier runs defined; the intake adds to it. */
  readonly catalog: Catalog;
  /** A topic of an origin belongs to the first source of that origin with a template that matches it. */
  readonly sources: readonly SourceConfig[];
  readonly clock: Clock;
  /** Filters of topics that the agent itself publishes: no source takes them, or it would hear itself. */
  readonly ownTopics?: readonly string[];
  /** Topics of our own broker that the agent itself listens to: no source takes them, and they are not unwanted. */
  readonly heardTopics?: readonly string[];
  /** Whether memory is short, and nothing new is to be known. Default: never. */
  readonly isShort?: () => boolean;
  readonly limits?: Partial<IntakeLimits>;
};

/** Totals since the start, for metrics; received = decoded + deadLettered + shed. */
export type IntakeCounters = {
  readonly decoded: number;
  readonly deadLettered: number;
  readonly shed: number;
  /** Messages of topics that no source wants; they are the broker's alone. */
  readonly unwanted: number;
  /** Messages of topics of the agent's own: a bridge brings them back. They are not read. */
  readonly own: number;
  /** Readings of decoded messages that were refused for cardinality or length. */
  readonly rejected: number;
  /** Decoded messages that the scanners took; the others went through the parser. */
  readonly scanned: number;
  /** Dead letters whose bytes were not kept, because their frame had its number of them. */
  readonly lettersWithoutBytes: number;
  /** Times a message was not taken for want of room. */
  readonly full: number;
  readonly topics: number;
  /** Times a topic was parsed because the table of topics was full. */
  readonly topicLoans: number;
  readonly slots: number;
};

/** What of the counters is what there is now. */
export const intakeLevels: readonly (keyof IntakeCounters)[] = ["slots", "topics"];

/** Throws a Fault CONFIG_INVALID for a topic template that is none. Sources that are new are defined. */
export function createIntake(options: IntakeOptions): Intake {
  return new Intake(options);
}

/** The number of our own broker among the origins. */
const EMBEDDED = 0;

type Wanted = {
  readonly origin: number;
  readonly source: SourceId;
  readonly rules: SourceRules;
  readonly template: TopicTemplate;
};

export class Intake implements Receiver {
  readonly #limits: IntakeLimits;
  readonly #clock: Clock;
  readonly #names: Names;
  readonly #slots: Slots;
  readonly #topics: TopicTable;
  readonly #decoders: Decoders;
  readonly #draft: Draft;
  readonly #writer: RowWriter;
  readonly #wanted: readonly Wanted[];
  /** Names of external brokers; their numbers follow that of our own. */
  readonly #brokers: readonly string[];
  readonly #own: readonly TopicTemplate[];
  readonly #heard: ReadonlySet<string>;
  #open: OpenFrame;
  #other: OpenFrame;
  #isSealed = false;
  #onWork: () => void = () => {};
  /** Rows in the open batch at which `onWork` is called next. */
  #tellAtRows = 0;
  #tellAgainAtRows = Number.POSITIVE_INFINITY;
  #isFull = false;
  #isHurried = false;
  /** Arrival time of the message at hand; NaN until somebody asks. */
  #arrived = Number.NaN;
  readonly #unwanted = new Uint8Array(coreLimits.topicBytesMax);
  #unwantedBytes = 0;
  readonly #totals = {
    decoded: 0,
    deadLettered: 0,
    shed: 0,
    unwanted: 0,
    own: 0,
    rejected: 0,
    scanned: 0,
    lettersWithoutBytes: 0,
    full: 0,
  };

  constructor(options: IntakeOptions) {
    const { catalog, sources, clock, ownTopics = [], isShort, limits: changed } = options;
    const limits: IntakeLimits = { ...coreLimits, ...changed };
    assertRelations(limits);
    this.#limits = limits;
    this.#clock = clock;
    const halfLimits = { ...limits, sources: catalog.sourceCount + sources.length };
    this.#open = new OpenFrame(halfLimits);
    this.#other = new OpenFrame(halfLimits);

    const define = (definition: Definition): void => this.#open.define(definition);
    const arrival = (): number => this.#arrival();
    const slotsPerRouteMax = Math.min(limits.readingsPerMessageMax, limits.batchRowsMax);
    this.#names = new Names({ catalog, limits, define, isShort });
    this.#slots = new Slots({ slotsPerRouteMax, slotsMax: limits.slotsMax });
    this.#brokers = [...new Set(sources.flatMap(({ broker }) => broker ?? []))];
    this.#wanted = sources.flatMap((source) =>
      wantedOf(source, { names: this.#names, origin: this.#originOf(source.broker) }),
    );
    this.#own = ownTopics.map(templateOf);
    this.#heard = new Set(options.heardTopics);
    this.#topics = new TopicTable({
      ...limits,
      origins: 1 + this.#brokers.length,
      ...(isShort === undefined ? {} : { isShort }),
      routeOf: (topic, origin) => this.#routeOf(topic, origin),
    });
    this.#decoders = createDecoders({ names: this.#names, nestingMax: limits.nestingMax });
    this.#draft = new Draft({ ...limits, names: this.#names, slotsPerRouteMax, arrival });
    const { definitionsPerFrameMax } = limits;
    const { names, slots } = { names: this.#names, slots: this.#slots };
    this.#writer = new RowWriter({ names, slots, definitionsPerFrameMax, arrival });
  }

  /** Rows in the open batch. */
  get pendingRows(): number {
    return this.#open.batch.rows;
  }
  /** Whether the open frame holds anything: rows, definitions, counts or dead letters. */
  get pendingWork(): boolean {
    return this.#open.hasWork;
  }
  /** A message found no room since the open frame was opened: it should be sealed soon. */
  get isFull(): boolean {
    return this.#isFull;
  }
  /** Somebody waits for this frame to be durable and gets nothing more until it is. */
  get isHurried(): boolean {
    return this.#isHurried;
  }
  /** The last topic of our own broker that was declined; cut at limits.topicBytesMax. */
  get unwantedTopic(): string | undefined {
    if (this.#totals.unwanted === 0) return undefined;
    return new TextDecoder().decode(this.#unwanted.subarray(0, this.#unwantedBytes));
  }
  get counters(): IntakeCounters {
    const { count: topics, loans: topicLoans } = this.#topics;
    return { ...this.#totals, topics, topicLoans, slots: this.#slots.count };
  }

  /**
   * Calls `run` when the open frame gets its first entry, again when it has `rows` rows, and again
   * when a message finds no room in it or somebody is in a hurry.
   */
  onWork(run: () => void, { rows }: { readonly rows: number }): void {
    this.#onWork = run;
    this.#tellAgainAtRows = rows;
  }

  /**
   * What is in the open frame need not wait for more: whoever sends waits for its acknowledgements
   * first.
   */
  hurry(): void {
    if (this.#isHurried || !this.#open.hasWork) return;
    this.#isHurried = true;
    this.#onWork();
  }

  /** Takes the messages of one external broker, or of our own; all fill the same frame. */
  receiverOf(broker: string | undefined): Receiver {
    const origin = this.#originOf(broker);
    if (origin === EMBEDDED) return this;
    const topics = this.#topics;
    return {
      topicOf: (bytes, start, end) => topics.handleOf(origin, bytes, start, end),
      decline: (bytes, start, end) => void this.#countOwn(bytes, start, end),
      receive: (topic, bytes, start, end) => this.receive(topic, bytes, start, end),
      shed: (topic) => this.shed(topic),
    };
  }

  topicOf(bytes: Uint8Array, start: number, end: number): number {
    return this.#topics.handleOf(EMBEDDED, bytes, start, end);
  }

  decline(bytes: Uint8Array, start: number, end: number): void {
    if (this.#countOwn(bytes, start, end)) return;
    if (this.#heard.size > 0 && this.#heard.has(textOf(bytes, start, end) ?? "")) return;
    this.#totals.unwanted++;
    // It becomes a text when somebody asks.
    this.#unwantedBytes = Math.min(end - start, this.#unwanted.length);
    this.#unwanted.set(bytes.subarray(start, start + this.#unwantedBytes));
  }

  receive(topic: number, bytes: Uint8Array, start: number, end: number): boolean {
    assert(topic !== NO_SOURCE, "only messages of a source are received");
    const route = this.#topics.routeOf(topic);
    const { rules } = route;
    const format = rules.format === "auto" ? formatOf(bytes, start, end) : rules.format;
    const decoder = this.#decoders[format];
    const open = this.#open;
    const draft = this.#draft;
    this.#arrived = Number.NaN;

    draft.begin(open.batch, route);
    if (decoder.scan(draft, bytes, start, end)) {
      open.batch.rows = draft.row;
      this.#totals.scanned++;
      this.#countDecoded(route, draft.rejected);
      return true;
    }
    const parsed = decoder.parse(bytes, start, end);
    if (parsed.kind === "refused") return this.#bury(topic, parsed, bytes, start, end);
    const messages = flatten(parsed.value, { ...this.#limits, rules });
    if ("kind" in messages) {
      const { reason, keys } = messages;
      // Where nobody keeps the letter, nobody asks for the byte.
      const offset = this.#open.keepsLetters
        ? offsetOfKeys(format, bytes, { start, end, keys })
        : 0;
      return this.#bury(topic, { kind: "refused", reason, offset }, bytes, start, end);
    }
    if (!this.#writer.hasRoom(open, route, messages)) {
      this.#totals.full++;
      this.#isFull = true;
      this.#onWork();
      return false;
    }
    this.#countDecoded(route, this.#writer.write(open, route, messages));
    return true;
  }

  shed(topic: number): void {
    const { source } = this.#topics.routeOf(topic);
    this.#open.shed[source] = this.#open.shed[source]! + 1;
    this.#totals.shed++;
    this.#tell();
  }

  /** Adds a definition that is not of the intake's own making (a configuration) to the open frame. */
  define(definition: Definition): void {
    this.#open.define(definition);
    this.#tell();
  }

  /**
   * Gives the open frame away and opens the other half. The frame and all in it stay as they are
   * until `recycle`, which must come before the next `seal`.
   */
  seal(clock: Millis, trusted: boolean): Frame {
    assert(!this.#isSealed, "the frame sealed before is recycled before the next is sealed");
    const sealed = this.#open;
    this.#open = this.#other;
    this.#other = sealed;
    this.#isSealed = true;
    this.#isFull = false;
    this.#isHurried = false;
    this.#tellAtRows = 0;
    return sealed.seal(clock, trusted);
  }

  /** The sealed frame is in the log and applied: its half may be filled again. */
  recycle(): void {
    assert(this.#isSealed, "a sealed frame is recycled once");
    this.#other.clear();
    this.#isSealed = false;
  }

  #countDecoded(route: Route, rejected: number): void {
    const { source } = route;
    this.#open.decoded[source] = this.#open.decoded[source]! + 1;
    this.#totals.decoded++;
    this.#tell();
    if (rejected === 0) return;
    this.#open.rejected[source] = this.#open.rejected[source]! + rejected;
    this.#totals.rejected += rejected;
  }

  /** Whether the topic is the agent's own; then it is counted. */
  #countOwn(bytes: Uint8Array, start: number, end: number): boolean {
    const topic = textOf(bytes, start, end);
    if (topic === undefined || !this.#isOwn(topic)) return false;
    this.#totals.own++;
    return true;
  }

  #isOwn(topic: string): boolean {
    return this.#own.some((template) => matchTopic(template, topic) !== undefined);
  }

  #tell(): void {
    const { rows } = this.#open.batch;
    if (rows < this.#tellAtRows) return;
    this.#tellAtRows =
      rows < this.#tellAgainAtRows ? this.#tellAgainAtRows : Number.POSITIVE_INFINITY;
    this.#onWork();
  }

  /** Takes a message as a dead letter. */
  #bury(
    topic: number,
    { reason, offset }: Refusal,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    const { source } = this.#topics.routeOf(topic);
    const open = this.#open;
    open.deadLettered[source] = open.deadLettered[source]! + 1;
    this.#totals.deadLettered++;
    this.#tell();
    if (!open.keepsLetters) {
      this.#totals.lettersWithoutBytes++;
      return true;
    }
    const kept = Math.min(end - start, this.#limits.deadLetterBytesMax);
    open.keepLetter({
      source,
      topic: this.#topics.topicOf(topic),
      arrived: this.#clock.now(),
      reason,
      offset,
      payload: new Uint8Array(bytes.subarray(start, start + kept)),
      payloadBytes: end - start,
    });
    return true;
  }

  #arrival(): number {
    if (Number.isNaN(this.#arrived)) this.#arrived = this.#clock.now();
    return this.#arrived;
  }

  #originOf(broker: string | undefined): number {
    if (broker === undefined) return EMBEDDED;
    const index = this.#brokers.indexOf(broker);
    assert(index >= 0, "messages come from a broker that a source names");
    return 1 + index;
  }

  #routeOf(topic: string, origin: number): Route | undefined {
    if (this.#isOwn(topic) || (origin === EMBEDDED && this.#heard.has(topic))) return undefined;
    for (const { origin: from, source, rules, template } of this.#wanted) {
      if (from !== origin) continue;
      const match = matchTopic(template, topic);
      if (match !== undefined) return createRoute({ source, rules, ...match });
    }
    return undefined;
  }
}

function wantedOf(
  config: SourceConfig,
  { names, origin }: { readonly names: Names; readonly origin: number },
): readonly Wanted[] {
  const source = names.source(config.name);
  const rules = rulesOf(config);
  return config.topics.map((text) => ({ origin, source, rules, template: templateOf(text) }));
}

function templateOf(text: string): TopicTemplate {
  const parse = parseTemplate(text);
  if (parse.kind === "template") return parse.template;
  throw new Fault("CONFIG_INVALID", parse.message, { facts: { template: text } });
}

/** Whatever one message defines and holds fits an empty frame, so that no message waits for ever. */
function assertRelations(limits: IntakeLimits): void {
  const { readingsPerMessageMax: readings, definitionsPerFrameMax: definitions } = limits;
  const readingBytes = limits.metricBytesMax + limits.symbolBytesMax + 32;
  assert(readings <= limits.batchRowsMax, "an empty batch has room for any one message");
  assert(2 * readings + 1 <= definitions, "an empty frame has room for one message's definitions");
  assert(
    readings * readingBytes + 4 * limits.topicBytesMax <= definitions * definitionBytesAverage,
    "an empty frame has room for the bytes of one message's definitions",
  );
}
