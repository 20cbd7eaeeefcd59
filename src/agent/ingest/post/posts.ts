/**
 * Bodies that are posted: what a connection is for MQTT, a body is here. Its messages are offered to the
 * open frame; where that is full they wait; when all are durable the body is answered.
 *
 *   looked through whole --> offered, as far as there is room --> held until durable --> answered
 *    (or refused: nothing        |               ^
 *     of it is taken)            +-- wait for room, in the order they came
 *
 * A body under a key of its sender's is taken once, whatever happens: in the frame of its messages stands
 * how many of it are taken (Posted), so they are durable together or not at all. What comes again under the
 * key goes on behind them, or is answered as before. This process knows it as soon as it is in the open
 * frame: when that is lost, so is this process.
 *
 * Bodies come first when there is room again, and have half of a frame at most: neither MQTT nor they are
 * kept out by the other.
 *
 * Without a key, what was taken and not answered is taken again when it is sent again.
 */

import { createHash } from "node:crypto";
import { assert } from "../../../core/assert.ts";
import type { Clock } from "../../../core/doors.ts";
import type { Posted } from "../../../core/frame.ts";
import { limits } from "../../../core/limits.ts";
import type { Intake } from "../intake.ts";
import { type Gate, NO_SOURCE } from "../receiver.ts";
import type { Messages } from "./messages.ts";
import { formOf, messagesOf, type PostedBody, topicFault } from "./posted-body.ts";

export type PostAnswer = {
  /** The sum of the three that follow. */
  readonly messages: number;
  readonly decoded: number;
  readonly deadLettered: number;
  /** Of topics that no source wants; they go nowhere. */
  readonly unwanted: number;
  /** What these topics are, where there are some: the first limits.postUnwantedTopicsMax of them. */
  readonly unwantedTopics?: readonly string[];
  /** It came before under its key, and nothing was taken now. */
  readonly repeated: boolean;
};

export type PostOutcome =
  | { readonly kind: "durable"; readonly answer: PostAnswer }
  /** Nothing of it was taken, in the first four. */
  /** `message`: what is wrong with it, where, and what to send instead. */
  | { readonly kind: "malformed"; readonly message: string }
  | { readonly kind: "tooLong" }
  | { readonly kind: "unwanted"; readonly topic: string }
  /** Its key is that of another body. */
  | { readonly kind: "otherBody" }
  /** It waited in vain; so much of it is taken, and will be durable if the agent goes on. */
  | { readonly kind: "noRoom"; readonly taken: number }
  /** The agent ends, or its log is broken: the same, if it was. */
  | { readonly kind: "ended" };

/** All but the first only grow. */
export type PostCounters = {
  /** Keys that are remembered. */
  readonly keys: number;
  /** Bodies that were answered as durable, and their messages. */
  readonly bodies: number;
  readonly messages: number;
  /** Bodies that came again under their key. */
  readonly repeated: number;
  /** Bodies that were refused whole: nothing of them is taken. */
  readonly refused: number;
  /** Bodies that were told to come again. */
  readonly noRoom: number;
};

export type PostsOptions = {
  readonly intake: Pick<
    Intake,
    "topicOf" | "receive" | "decline" | "define" | "counters" | "pendingRows"
  >;
  readonly clock: Clock;
  /** The gateway's clock while it is trusted. */
  readonly trustedNow: () => number | undefined;
  /** What recovery found, oldest first; of a key the last counts. */
  readonly posted: readonly Posted[];
};

/** A body that is not answered yet. */
type UnderWay = {
  readonly key: string | undefined;
  readonly digest: string;
  readonly body: PostedBody;
  readonly messages: Messages;
  /** Whether `messages` stands at one that is not taken. */
  hasMore: boolean;
  decoded: number;
  deadLettered: number;
  unwanted: number;
  isRepeated: boolean;
  /** The number of the frame that has the last of it. */
  frame: number;
  readonly outcome: Promise<PostOutcome>;
  readonly settle: (outcome: PostOutcome) => void;
};

/** A key with the number of the frame that told of it; frames of earlier lives are durable. */
type Known = { readonly posted: Posted; readonly frame: number };

export class Posts implements Gate {
  readonly #options: PostsOptions;
  /** Oldest first. */
  readonly #known = new Map<string, Known>();
  readonly #byKey = new Map<string, UnderWay>();
  readonly #waiting = new Set<UnderWay>();
  readonly #held = new Set<UnderWay>();
  /** Frames of this life: numbers of the open one, and of the last that is durable. */
  #open = 1;
  #durable = 0;
  #definedInOpen = 0;
  #rowsInOpen = 0;
  #hasEnded = false;
  readonly #counts = { bodies: 0, messages: 0, repeated: 0, refused: 0, noRoom: 0 };

  constructor(options: PostsOptions) {
    this.#options = options;
    for (const posted of options.posted) this.#remember({ posted, frame: 0 });
  }

  get counters(): PostCounters {
    return { keys: this.#known.size, ...this.#counts };
  }

  /**
   * Takes the body; resolves when it is durable, refused, or has waited limits.postWaitMs. Its bytes are
   * the caller's again then, unless that was `noRoom`. `key`: 1 to 64 visible ASCII characters, or none.
   */
  async take(body: PostedBody, key?: string): Promise<PostOutcome> {
    if (this.#hasEnded) return { kind: "ended" };
    const outcome = await this.#taken(body, key);
    this.#count(outcome);
    return outcome;
  }

  /** From now on nothing is taken; what waits is told so, what is held is answered when it is durable. */
  stop(): void {
    this.#hasEnded = true;
    for (const body of this.#waiting) this.#settle(body, { kind: "ended" });
  }

  seal(): void {
    this.#open += 1;
    this.#definedInOpen = 0;
    this.#rowsInOpen = 0;
  }

  release(): void {
    this.#durable = this.#open - 1;
    for (const body of this.#held) {
      if (body.frame <= this.#durable) this.#settle(body, this.#durableOf(body));
    }
  }

  room(): void {
    for (const body of this.#waiting) {
      if (!this.#offer(body)) return;
    }
  }

  abandon(): void {
    this.stop();
    for (const body of this.#held) this.#settle(body, { kind: "ended" });
  }

  async #taken(body: PostedBody, key: string | undefined): Promise<PostOutcome> {
    const digest = key === undefined ? "" : digestOf(body);
    const known = key === undefined ? undefined : this.#find(key);
    const twin = key === undefined ? undefined : this.#byKey.get(key);
    const before = twin?.digest ?? known?.digest ?? digest;
    if (before !== digest) return { kind: "otherBody" };
    if (twin !== undefined) return repeated(await twin.outcome);
    if (known?.isWhole !== true) {
      const refusal = this.#lookThrough(body);
      if (refusal !== undefined) return refusal;
    }
    return await this.#begin(body, { key, digest }).outcome;
  }

  /** Nothing is taken of a body with which anything is wrong. */
  #lookThrough(body: PostedBody): PostOutcome | undefined {
    const { intake } = this.#options;
    const messages = messagesOf(body);
    let count = 0;
    let isWanted = false;
    while (messages.next()) {
      const { topicBytes, topicStart, topicEnd } = messages;
      if (++count > limits.postMessagesMax) return { kind: "tooLong" };
      const fault = topicFault(topicBytes, topicStart, topicEnd);
      if (fault !== undefined) {
        return malformed(`message ${count} (${messages.place}): ${fault}`);
      }
      isWanted ||= intake.topicOf(topicBytes, topicStart, topicEnd) !== NO_SOURCE;
    }
    if (messages.fault !== undefined) return malformed(`${messages.fault}; ${formOf(body)}`);
    if (count === 0) return malformed(`the body holds no message; ${formOf(body)}`);
    return isWanted ? undefined : this.#decline(messagesOf(body));
  }

  /** Counts them where those are counted that no source wants. */
  #decline(messages: Messages): PostOutcome {
    let topic = "";
    while (messages.next()) {
      const { topicBytes, topicStart, topicEnd } = messages;
      this.#options.intake.decline(topicBytes, topicStart, topicEnd);
      if (topic === "") topic = Buffer.from(topicBytes.subarray(topicStart, topicEnd)).toString();
    }
    return { kind: "unwanted", topic };
  }

  /** Goes on where the key's body stands, at its beginning where nobody knows it. */
  #begin(
    body: PostedBody,
    { key, digest }: { readonly key: string | undefined; readonly digest: string },
  ): UnderWay {
    const { clock } = this.#options;
    const known = key === undefined ? undefined : this.#known.get(key);
    const posted = known?.posted ?? { isWhole: false, decoded: 0, deadLettered: 0, unwanted: 0 };
    const { decoded, deadLettered, unwanted, isWhole } = posted;
    const { promise, resolve } = Promise.withResolvers<PostOutcome>();
    const messages = messagesOf(body);
    let hasMore = !isWhole && messages.next();
    for (let taken = decoded + deadLettered + unwanted; hasMore && taken > 0; taken--) {
      hasMore = messages.next();
    }
    const counts = { decoded, deadLettered, unwanted };
    const frame = known?.frame ?? 0;
    const begun: UnderWay = {
      key,
      digest,
      body,
      messages,
      hasMore,
      ...counts,
      isRepeated: isWhole,
      frame,
      outcome: promise,
      settle: resolve,
    };
    if (key !== undefined) this.#byKey.set(key, begun);
    this.#waiting.add(begun);
    const cancel = clock.after(limits.postWaitMs, () => {
      this.#settle(begun, { kind: "noRoom", taken: takenOf(begun) });
    });
    void promise.then(cancel);
    // Who waits already goes first.
    if (this.#waiting.size === 1) this.#offer(begun);
    return begun;
  }

  /** Whether all of it is taken now; else there is no room for the next. */
  #offer(body: UnderWay): boolean {
    const { intake } = this.#options;
    const isKeyed = body.key !== undefined;
    if (isKeyed && body.hasMore && this.#definedInOpen >= limits.postsPerFrameMax) return false;
    const buriedBefore = intake.counters.deadLettered;
    const takenBefore = takenOf(body);
    const rowsBefore = intake.pendingRows - this.#rowsInOpen;
    let received = 0;
    let isFull = false;
    while (body.hasMore && !isFull) {
      this.#rowsInOpen = intake.pendingRows - rowsBefore;
      if (this.#rowsInOpen >= limits.postRowsPerFrameMax) break;
      const { topicBytes, topicStart, topicEnd, payloadStart, payloadEnd } = body.messages;
      const topic = intake.topicOf(topicBytes, topicStart, topicEnd);
      if (topic === NO_SOURCE) {
        intake.decline(topicBytes, topicStart, topicEnd);
        body.unwanted += 1;
      } else if (intake.receive(topic, body.body.bytes, payloadStart, payloadEnd)) {
        received += 1;
      } else {
        isFull = true;
        continue;
      }
      body.hasMore = body.messages.next();
    }
    this.#rowsInOpen = intake.pendingRows - rowsBefore;
    const buried = intake.counters.deadLettered - buriedBefore;
    body.deadLettered += buried;
    body.decoded += received - buried;
    if (takenOf(body) > takenBefore) this.#note(body, received > 0);
    if (body.hasMore) return false;
    this.#waiting.delete(body);
    if (body.frame <= this.#durable) this.#settle(body, this.#durableOf(body));
    else this.#held.add(body);
    return true;
  }

  /** Something of the body is in the open frame; beside it, how far that is. */
  #note(body: UnderWay, hasRows: boolean): void {
    const { key, digest, decoded, deadLettered, unwanted } = body;
    if (key === undefined) {
      if (hasRows) body.frame = this.#open;
      return;
    }
    const at = this.#options.trustedNow() ?? 0;
    const counts = { decoded, deadLettered, unwanted };
    const posted: Posted = { kind: "posted", key, digest, at, isWhole: !body.hasMore, ...counts };
    body.frame = this.#open;
    this.#definedInOpen += 1;
    this.#options.intake.define(posted);
    this.#remember({ posted, frame: this.#open });
  }

  #remember(known: Known): void {
    const { key } = known.posted;
    this.#known.delete(key);
    this.#known.set(key, known);
    if (this.#known.size <= limits.postKeysMax) return;
    const oldest = this.#known.keys().next().value;
    assert(oldest !== undefined, "what is too much is not nothing");
    this.#known.delete(oldest);
  }

  /** What is known of a key; one that is too old is not. */
  #find(key: string): Posted | undefined {
    const posted = this.#known.get(key)?.posted;
    const now = this.#options.trustedNow();
    if (posted === undefined || now === undefined || posted.at === 0) return posted;
    if (now - posted.at <= limits.postKeyMsMax) return posted;
    this.#known.delete(key);
    return undefined;
  }

  #durableOf(body: UnderWay): PostOutcome {
    const { decoded, deadLettered, unwanted, isRepeated } = body;
    const counts = { messages: takenOf(body), decoded, deadLettered, unwanted };
    const which = unwanted === 0 ? {} : { unwantedTopics: this.#unwantedOf(body.body) };
    return { kind: "durable", answer: { ...counts, ...which, repeated: isRepeated } };
  }

  /** Topics of the body that no source wants, each once. */
  #unwantedOf(body: PostedBody): readonly string[] {
    const found = new Set<string>();
    const messages = messagesOf(body);
    while (messages.next() && found.size < limits.postUnwantedTopicsMax) {
      const { topicBytes, topicStart, topicEnd } = messages;
      if (this.#options.intake.topicOf(topicBytes, topicStart, topicEnd) !== NO_SOURCE) continue;
      found.add(Buffer.from(topicBytes.subarray(topicStart, topicEnd)).toString());
    }
    return [...found];
  }

  #settle(body: UnderWay, outcome: PostOutcome): void {
    this.#waiting.delete(body);
    this.#held.delete(body);
    if (body.key !== undefined && this.#byKey.get(body.key) === body) this.#byKey.delete(body.key);
    body.settle(outcome);
  }

  #count(outcome: PostOutcome): void {
    const counts = this.#counts;
    switch (outcome.kind) {
      case "durable":
        if (outcome.answer.repeated) counts.repeated += 1;
        else {
          counts.bodies += 1;
          counts.messages += outcome.answer.messages;
        }
        return;
      case "noRoom":
      case "ended":
        counts.noRoom += 1;
        return;
      case "malformed":
      case "tooLong":
      case "unwanted":
      case "otherBody":
        counts.refused += 1;
        return;
    }
  }
}

function takenOf({ decoded, deadLettered, unwanted }: UnderWay): number {
  return decoded + deadLettered + unwanted;
}

function malformed(message: string): PostOutcome {
  return { kind: "malformed", message };
}

function repeated(outcome: PostOutcome): PostOutcome {
  if (outcome.kind !== "durable") return outcome;
  return { kind: "durable", answer: { ...outcome.answer, repeated: true } };
}

/** 128 bits of SHA-256 of all that is posted: 22 characters. */
function digestOf({ bytes, type, topic }: PostedBody): string {
  const hash = createHash("sha256")
    .update(`${type}\n${topic ?? ""}\n`)
    .update(bytes);
  return hash.digest().subarray(0, 16).toString("base64url");
}
