/**
 * One connection to a broker, as a state machine without input or output: bytes and moments go in,
 * packets and wishes come out (SessionHost).
 *
 *   greeting --CONNACK--> subscribing --SUBACKs--> running
 *            \--session present, subscribed--------^
 *
 *   PUBLISH --> canary | hint | unwanted, retained: answered, not received
 *          \--> receiver --(seal, release)--> PUBACK, PUBREC        PUBREL --> PUBCOMP, at once
 *
 * A message that the batch has no room for stops the parser: it and all that follows is kept, in
 * order; over a bound the host is asked not to read. PINGREQs go on meanwhile, and what we do not
 * read is never the broker's silence.
 *
 * Invariants: an answer of a message that was received leaves after its batch is durable; answers
 * keep the order of their messages; after `end` nothing leaves any more.
 */

import { murmur32 } from "../../../../core/hash.ts";
import { latin1Of } from "../../decode/text.ts";
import { NO_SOURCE } from "../../receiver.ts";
import {
  CONNACK,
  DISCONNECT,
  type PacketVisitor,
  PacketParser,
  type ProtocolFault,
  PUBLISH,
  readPublish,
} from "../packet/parser.ts";
import { createPublish5Offsets, publishFromServer, readPublish5 } from "../packet/publish-5.ts";
import { Liveness } from "./liveness.ts";
import {
  answerBytes,
  answerWord,
  connectPacket,
  PINGRESP,
  PUBACK,
  PUBACK_WORD,
  PUBCOMP_WORD,
  PUBREC_WORD,
  PUBREL,
  pingPacket,
  publishPacket,
  readAnswer,
  readConnack,
  readDisconnect,
  readSuback,
  SUBACK,
} from "./packets.ts";
import type { SessionEnd } from "./session-end.ts";
import type { SessionHost } from "./session-host.ts";
import { Subscribing } from "./subscribing.ts";

export type SessionState = "greeting" | "subscribing" | "running" | "over";

const WORD_BYTES_MAX = 32;
const offsets = createPublish5Offsets();

export class Session implements PacketVisitor {
  readonly #host: SessionHost;
  readonly #parser: PacketParser;
  readonly #subscribing: Subscribing;
  readonly #liveness: Liveness;
  readonly #level: 4 | 5;
  #state: SessionState = "greeting";
  #startedAt = 0;
  #paused = false;
  #readingOver = false;
  /** Messages of the bytes at hand that wait for an answer. */
  #arrivals = 0;
  #isHurried = false;

  constructor(host: SessionHost) {
    this.#host = host;
    this.#level = host.config.level;
    this.#liveness = new Liveness(host.config);
    this.#parser = new PacketParser({ packetBytesMax: host.limits.packetBytesMax });
    this.#subscribing = new Subscribing(host, (bytes) => this.#write(bytes));
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Messages the broker counts as not acknowledged. */
  get inFlight(): number {
    const { acks, ids } = this.#host.memory;
    return acks.count + ids.durableCount;
  }

  /** The way is open: says who we are. */
  begin(): void {
    const { config, limits } = this.#host;
    this.#startedAt = this.#host.monotonic();
    this.#liveness.heard(this.#startedAt);
    this.#write(
      connectPacket({
        level: this.#level,
        clientId: config.clientId,
        clean: config.sessionMs === undefined,
        keepAliveSeconds: Math.ceil(config.keepAliveMs / 1_000),
        sessionSeconds: Math.ceil((config.sessionMs ?? 0) / 1_000),
        receiveMax: config.receiveMax,
        packetBytesMax: limits.packetBytesMax,
        user: config.user,
        password: config.password,
      }),
    );
  }

  // --- in -----------------------------------------------------------------------------------------

  /** Takes `bytes[0, length)`, which may be overwritten afterwards. */
  push(bytes: Uint8Array, length: number): void {
    this.#host.counters.bytesIn += length;
    if (this.#state === "over" || this.#readingOver) return;
    this.#liveness.heard(this.#host.monotonic());
    this.#parser.push(bytes, length, this);
    this.#afterParsing();
  }

  /** There is room in the batch again. */
  resume(): void {
    if (this.#state === "over" || this.#readingOver || this.#parser.state !== "stopped") return;
    this.#parser.resume(this);
    this.#afterParsing();
  }

  packet(bytes: Uint8Array, start: number, body: number, end: number): boolean {
    const head = bytes[start]!;
    const type = head >> 4;
    if (this.#state === "greeting") {
      return type === CONNACK ? this.#connack(bytes, body, end) : this.#fail("packet_unexpected");
    }
    if (this.#state === "over") return false;
    if (type === PUBLISH) return this.#publish(bytes, start, body, end);
    if ((head & 0x0f) !== (type === PUBREL ? 2 : 0)) return this.#fail("flags_invalid");
    switch (type) {
      case PUBREL:
        return this.#pubrel(bytes, body, end);
      case PUBACK:
        return this.#puback(bytes, body, end);
      case SUBACK: {
        const suback = readSuback(this.#level, bytes, { body, end });
        if (suback === undefined) return this.#fail("packet_truncated");
        if (!this.#subscribing.answered(suback, this.#host.monotonic()))
          return this.#fail("packet_unexpected");
        this.#advance();
        return true;
      }
      case PINGRESP:
        return true;
      case DISCONNECT:
        return this.#disconnected(bytes, body, end);
      default:
        return this.#fail("packet_unexpected");
    }
  }

  /**
   * A message beyond the limit, which MQTT 3.1.1 cannot forbid. Not answered it would come again for
   * ever: it is answered and counted, and where a source wants it, shed.
   */
  packetHead(bytes: Uint8Array, start: number, body: number, end: number): void {
    if (this.#state === "over") return;
    const isPublish = bytes[start]! >> 4 === PUBLISH && this.#state !== "greeting";
    const fault = isPublish ? this.#readPublish(bytes, start, body, end) : "packet_too_large";
    if (fault !== undefined) {
      this.#fail(fault);
      return;
    }
    const { receiver, counters } = this.#host;
    const { topicStart, topicEnd, packetId, qos, retain } = offsets;
    counters.tooLarge += 1;
    const topic = receiver.topicOf(bytes, topicStart, topicEnd);
    if (topic !== NO_SOURCE && !retain) receiver.shed(topic);
    this.#answer(qos, packetId);
  }

  #connack(bytes: Uint8Array, body: number, end: number): boolean {
    const connack = readConnack(this.#level, bytes, { body, end });
    if (connack === undefined) return this.#fail("packet_truncated");
    const { code, said, sessionPresent, keptSeconds, keepAliveSeconds } = connack;
    if (code !== 0) return this.#end({ kind: "refused", code, said });
    const { memory, config } = this.#host;
    const now = this.#host.monotonic();
    memory.quota.begin(now - this.#startedAt);
    if (keepAliveSeconds > 0) {
      this.#liveness.keepAliveMs = Math.min(config.keepAliveMs, keepAliveSeconds * 1_000);
    }
    const isPersistent = config.sessionMs !== undefined;
    if (memory.welcome({ sessionPresent, isPersistent })) this.#host.counters.sessionsLost += 1;
    this.#state = "subscribing";
    this.#host.connected({ sessionPresent, keptSeconds });
    memory.canary?.forgive();
    if (!sessionPresent || !memory.isSubscribed) this.#subscribing.begin(now);
    this.#advance();
    return true;
  }

  #publish(bytes: Uint8Array, start: number, body: number, end: number): boolean {
    const fault = this.#readPublish(bytes, start, body, end);
    if (fault !== undefined) return this.#fail(fault);
    const { topicStart, topicEnd, payloadStart, packetId, qos, retain } = offsets;
    const { receiver, counters, memory } = this.#host;
    if (qos !== 0 && !memory.acks.hasRoom) return false; // `release` is followed by `resume`
    if (qos === 2 && memory.isResent(packetId, printOf(bytes, end))) return this.#resent(packetId);
    if (this.#isOurs(bytes, payloadStart, end)) return this.#answer(qos, packetId);
    const topic = receiver.topicOf(bytes, topicStart, topicEnd);
    if (topic === NO_SOURCE) {
      counters.unwanted += 1;
      memory.noteUnwanted(bytes, topicStart, topicEnd);
      return this.#answer(qos, packetId);
    }
    if (retain) {
      counters.retainedIgnored += 1;
      return this.#answer(qos, packetId);
    }
    if (!receiver.receive(topic, bytes, payloadStart, end)) return false;
    counters.received += 1;
    if (qos === 0) return true;
    this.#arrivals += 1;
    if (qos === 1) {
      memory.acks.add(answerWord(PUBACK_WORD, packetId));
    } else {
      memory.ids.receive(packetId);
      memory.acks.add(answerWord(PUBREC_WORD, packetId));
    }
    return true;
  }

  #readPublish(
    bytes: Uint8Array,
    start: number,
    body: number,
    end: number,
  ): ProtocolFault | undefined {
    if (this.#level === 4) return readPublish(bytes, start, body, end, offsets);
    const fault = readPublish5(bytes, start, body, end, offsets, publishFromServer);
    // We announced that we know no aliases.
    return fault ?? (offsets.topicAlias === 0 ? undefined : "alias_invalid");
  }

  /** Whether the message in `offsets` is the canary or a hint of the broker, and nobody's reading. */
  #isOurs(bytes: Uint8Array, payloadStart: number, end: number): boolean {
    const { canary, dropped } = this.#host.memory;
    const { topicStart, topicEnd } = offsets;
    if (canary !== undefined && isSame(bytes, topicStart, topicEnd, canary.topicBytes)) {
      canary.returned(wordIn(bytes, payloadStart, end), this.#host.monotonic());
      return true;
    }
    if (!isSame(bytes, topicStart, topicEnd, dropped.topicBytes)) return false;
    dropped.said(wordIn(bytes, payloadStart, end));
    return true;
  }

  /** A QoS 2 message that we have already: its answer was lost, or is not due yet. */
  #resent(packetId: number): true {
    const { counters, memory } = this.#host;
    counters.resent += 1;
    if (memory.ids.stateOf(packetId) === "durable") return this.#answer(2, packetId);
    // Its batch is the open one or the sealed one: the release of either lets it go, in turn.
    memory.acks.addFree(answerWord(PUBREC_WORD, packetId));
    return true;
  }

  /** Answers a message that needs no disk: at once, or after those before it. */
  #answer(qos: number, packetId: number): true {
    if (qos === 0) return true;
    const { memory, counters } = this.#host;
    const word = answerWord(qos === 1 ? PUBACK_WORD : PUBREC_WORD, packetId);
    // Not received, but to be known until PUBREL, as any message of QoS 2.
    if (qos === 2 && memory.ids.stateOf(packetId) === "free") memory.ids.receive(packetId);
    if (memory.acks.count > 0) {
      memory.acks.addFree(word);
      return true;
    }
    counters.acknowledged += 1;
    if (qos === 2) memory.ids.settle(packetId);
    this.#write(answerBytes(qos === 1 ? PUBACK_WORD : PUBREC_WORD, packetId));
    return true;
  }

  #pubrel(bytes: Uint8Array, body: number, end: number): boolean {
    const answer = readAnswer(this.#level, bytes, { body, end });
    if (answer === undefined) return this.#fail("packet_truncated");
    this.#host.memory.ids.release(answer.id);
    this.#write(answerBytes(PUBCOMP_WORD, answer.id));
    return true;
  }

  /** Of the canary, the only thing we publish. */
  #puback(bytes: Uint8Array, body: number, end: number): boolean {
    const answer = readAnswer(this.#level, bytes, { body, end });
    return answer === undefined ? this.#fail("packet_truncated") : true;
  }

  #disconnected(bytes: Uint8Array, body: number, end: number): boolean {
    const disconnect = this.#level === 5 ? readDisconnect(bytes, { body, end }) : undefined;
    if (disconnect === undefined) return this.#fail("packet_unexpected");
    return this.#end({ kind: "disconnected", ...disconnect });
  }

  #afterParsing(): void {
    if (this.#state === "over") return;
    const parsed = this.#parser.state;
    if (parsed === "length_malformed" || parsed === "packet_too_large") {
      this.#fail(parsed);
      return;
    }
    this.#weigh();
    this.#steer();
  }

  /** Looks at how many messages wait for an answer, once for all that came at once. */
  #weigh(): void {
    if (this.#arrivals === 0) return;
    const { quota, acks } = this.#host.memory;
    const { inFlight } = this;
    quota.arrived(this.#arrivals, inFlight, this.#host.monotonic());
    this.#arrivals = 0;
    if (this.#isHurried || acks.openCount === 0) return;
    const delayMs = quota.usedUpBy(inFlight);
    if (delayMs === undefined) return;
    this.#isHurried = true;
    this.#host.hurry(delayMs);
  }

  /** Reads unless enough waits. */
  #steer(): void {
    const pause =
      this.#parser.state === "stopped" &&
      this.#parser.keptBytes >= this.#host.limits.heldBytesPerConnectionMax;
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.#host.counters.pauses += 1;
    else this.#listenAgain();
    this.#host.pause(pause);
  }

  /** It was we who did not listen. */
  #listenAgain(): void {
    const now = this.#host.monotonic();
    const deafMs = now - this.#liveness.heardAt;
    this.#host.memory.canary?.shift(deafMs);
    this.#subscribing.forgive(deafMs);
    this.#liveness.heard(now);
  }

  /** Subscriptions stand: from now on the broker owes us what is published. */
  #advance(): void {
    if (this.#state !== "subscribing" || this.#subscribing.isWaiting) return;
    this.#state = "running";
    this.#host.memory.canary?.begin(this.#host.monotonic());
  }

  // --- the gate -----------------------------------------------------------------------------------

  seal(): void {
    this.#isHurried = false;
  }

  /** Answers of durable messages; `due` is how many were unacknowledged before them. */
  release(answers: Uint8Array | undefined, due: number): void {
    if (answers === undefined || this.#state === "over") return;
    this.#host.counters.acknowledged += answers.length / 4;
    this.#write(answers);
    this.#host.memory.quota.released(due, this.#host.monotonic());
  }

  // --- time ---------------------------------------------------------------------------------------

  /** Looks at all deadlines; called every so often. */
  check(): void {
    const now = this.#host.monotonic();
    const { answerMs } = this.#host.config;
    if (this.#state === "greeting" && now - this.#startedAt >= answerMs) {
      this.#end({ kind: "silent", missing: "CONNACK" });
    } else if (this.#state === "subscribing" || this.#state === "running") {
      this.#checkLife(now);
    }
  }

  #checkLife(now: number): void {
    const health = this.#liveness.check(now, { isReading: !this.#paused });
    if (health === "dead") {
      this.#end({ kind: "half-open" });
      return;
    }
    if (health === "ping") this.#write(pingPacket);
    const isListening = !this.#paused && this.#parser.state !== "stopped";
    if (isListening && this.#subscribing.isOverdue(now)) {
      this.#end({ kind: "silent", missing: "SUBACK" });
      return;
    }
    if (isListening && this.#state === "running") this.#checkCanary(now);
    if (this.#state === "running") this.#subscribing.retry(now);
  }

  #checkCanary(now: number): void {
    const { canary } = this.#host.memory;
    if (canary === undefined) return;
    const health = canary.check(now);
    if (health === "deaf") {
      this.#host.memory.isSubscribed = false;
      this.#end({ kind: "deaf" });
      return;
    }
    if (health === "missed") this.#subscribing.begin(now);
    const payload = canary.fly(now);
    if (payload === undefined) return;
    const id = this.#subscribing.nextId();
    this.#write(publishPacket(this.#level, { id, topic: canary.topic, payload }));
  }

  /** The process stood still for so long: nobody's silence. */
  forgive(ms: number): void {
    this.#startedAt += ms;
    this.#liveness.forgive(ms);
    this.#host.memory.canary?.shift(ms);
    this.#subscribing.forgive(ms);
  }

  // --- end ----------------------------------------------------------------------------------------

  /** Takes no more messages; what waits unreceived is left to the broker, or shed where it was QoS 0. */
  stopReading(): void {
    if (this.#state === "over" || this.#readingOver) return;
    this.#readingOver = true;
    if (!this.#paused) this.#host.pause(true);
    this.#paused = true;
    this.#giveUpHeld();
  }

  /** The connection is gone. */
  close(): void {
    this.#giveUpHeld();
    this.#parser.close();
    this.#state = "over";
  }

  #giveUpHeld(): void {
    if (this.#parser.state !== "stopped") return;
    const { receiver } = this.#host;
    this.#parser.resume({
      packet: (bytes, start, body, end) => {
        if (bytes[start]! >> 4 !== PUBLISH) return true;
        if (this.#readPublish(bytes, start, body, end) !== undefined) return true;
        if (offsets.qos !== 0 || offsets.retain) return true;
        const topic = receiver.topicOf(bytes, offsets.topicStart, offsets.topicEnd);
        if (topic !== NO_SOURCE) receiver.shed(topic);
        return true;
      },
    });
  }

  #fail(fault: ProtocolFault): false {
    return this.#end({ kind: "protocol", fault });
  }

  #end(end: SessionEnd): false {
    if (this.#state === "over") return false;
    this.#host.ended(end);
    return false;
  }

  #write(bytes: Uint8Array): void {
    if (this.#state === "over") return;
    this.#liveness.sent(this.#host.monotonic());
    this.#host.counters.bytesOut += bytes.length;
    this.#host.write(bytes);
  }
}

/** Of topic and payload of the message in `offsets`: its properties may change on the way. */
function printOf(bytes: Uint8Array, end: number): number {
  const { topicStart, topicEnd, payloadStart } = offsets;
  return murmur32(bytes, payloadStart, end, murmur32(bytes, topicStart, topicEnd, 0));
}

function isSame(bytes: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  if (end - start !== other.length) return false;
  for (let i = 0; i < other.length; i++) if (bytes[start + i] !== other[i]) return false;
  return true;
}

/** A short payload as text; a longer one is none of ours. */
function wordIn(bytes: Uint8Array, start: number, end: number): string {
  return latin1Of(bytes, start, Math.min(end, start + WORD_BYTES_MAX));
}
