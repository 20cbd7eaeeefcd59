/**
 * What becomes of the messages that a broker delivers on one connection:
 *
 *   PUBLISH --> canary | hint | unwanted, retained, too large: answered, not received
 *          \--> receiver --(seal, release)--> PUBACK, PUBREC        PUBREL --> PUBCOMP, at once
 *
 * Invariants: an answer of a message that was received leaves after its batch is durable; answers
 * keep the order of their messages.
 */

import { murmur32 } from "../../../../core/hash.ts";
import { latin1Of } from "../../decode/text.ts";
import { NO_SOURCE } from "../../receiver.ts";
import { type PacketParser, type ProtocolFault, PUBLISH, readPublish } from "../packet/parser.ts";
import { createPublish5Offsets, publishFromServer, readPublish5 } from "../packet/publish-5.ts";
import { answerBytes, answerWord, PUBACK_WORD, PUBCOMP_WORD, PUBREC_WORD } from "./packets.ts";
import type { SessionHost } from "./session-host.ts";

/** PUBACK, PUBREC. */
const ANSWER_BYTES = 4;
const WORD_BYTES_MAX = 32;
const offsets = createPublish5Offsets();

/** Of one connection; what outlives it is in the host's memory. `write` takes whole packets. */
export class Deliveries {
  readonly #host: SessionHost;
  readonly #write: (bytes: Uint8Array) => void;
  /** Messages of the bytes at hand that wait for an answer. */
  #arrivals = 0;
  #isHurried = false;

  constructor(host: SessionHost, write: (bytes: Uint8Array) => void) {
    this.#host = host;
    this.#write = write;
  }

  /**
   * Takes the PUBLISH in `bytes[start, end)`, its body at `body`. False: the batch has no room; it is
   * to be offered again after the next release. A fault where it is not what a broker may send.
   */
  publish(bytes: Uint8Array, start: number, body: number, end: number): boolean | ProtocolFault {
    const fault = this.#readPublish(bytes, start, body, end);
    if (fault !== undefined) return fault;
    const { topicStart, topicEnd, payloadStart, packetId, qos, retain } = offsets;
    const { receiver, counters, memory } = this.#host;
    if (qos !== 0 && !memory.acks.hasRoom) return false;
    if (qos === 2 && memory.isResent(packetId, printOf(bytes, end))) return this.#resent(packetId);
    if (this.#isOurs(bytes, payloadStart, end)) return this.#answer(qos, packetId);
    const topic = receiver.topicOf(bytes, topicStart, topicEnd);
    if (topic === NO_SOURCE) {
      counters.unwanted += 1;
      receiver.decline(bytes, topicStart, topicEnd);
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

  /**
   * A message beyond the limit, which MQTT 3.1.1 cannot forbid; as much of it as the limit holds. Not
   * answered it would come again for ever: it is answered and counted, and where a source wants it,
   * shed.
   */
  tooLarge(bytes: Uint8Array, start: number, body: number, end: number): ProtocolFault | undefined {
    const fault = this.#readPublish(bytes, start, body, end);
    if (fault !== undefined) return fault;
    const { receiver, counters } = this.#host;
    const { topicStart, topicEnd, packetId, qos, retain } = offsets;
    counters.tooLarge += 1;
    const topic = receiver.topicOf(bytes, topicStart, topicEnd);
    if (topic !== NO_SOURCE && !retain) receiver.shed(topic);
    this.#answer(qos, packetId);
    return undefined;
  }

  /** PUBREL: the broker has our PUBREC, and will not send the message again. */
  complete(packetId: number): void {
    this.#host.memory.ids.release(packetId);
    this.#write(answerBytes(PUBCOMP_WORD, packetId));
  }

  /** Looks at how many messages wait for an answer, once for all that came at once. */
  weigh(): void {
    if (this.#arrivals === 0) return;
    const { quota, acks, inFlight } = this.#host.memory;
    quota.arrived(this.#arrivals, inFlight, this.#host.monotonic());
    this.#arrivals = 0;
    if (this.#isHurried || acks.openCount === 0) return;
    const delayMs = quota.usedUpBy(inFlight);
    if (delayMs === undefined) return;
    this.#isHurried = true;
    this.#host.hurry(delayMs);
  }

  /** The open batch is sealed, hurried or not. */
  seal(): void {
    this.#isHurried = false;
  }

  /** Sends answers of durable messages; `due` is how many were unacknowledged before them. */
  release(answers: Uint8Array, due: number): void {
    this.#host.counters.acknowledged += answers.length / ANSWER_BYTES;
    this.#write(answers);
    this.#host.memory.quota.released(due, this.#host.monotonic());
  }

  /** Of what `parser` keeps, QoS 0 messages are shed; the broker sends the others again. */
  giveUp(parser: PacketParser): void {
    if (parser.state !== "stopped") return;
    const { receiver } = this.#host;
    parser.resume({
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

  #readPublish(
    bytes: Uint8Array,
    start: number,
    body: number,
    end: number,
  ): ProtocolFault | undefined {
    if (this.#host.config.level === 4) return readPublish(bytes, start, body, end, offsets);
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
    if (qos === 2) memory.ids.settle(packetId, { isAnswered: true });
    this.#write(answerBytes(qos === 1 ? PUBACK_WORD : PUBREC_WORD, packetId));
    return true;
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
