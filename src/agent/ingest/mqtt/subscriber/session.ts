/**
 * One connection to a broker, as a state machine without input or output: bytes and moments go in,
 * packets and wishes come out (SessionHost).
 *
 *   greeting --CONNACK--> subscribing --SUBACKs--> running
 *            \--session present, subscribed--------^
 *
 *   PUBLISH, PUBREL --> Deliveries      SUBACK --> Subscribing      silence --> Liveness, Canary
 *
 * A message that the batch has no room for stops the parser: it and all that follows is kept, in
 * order; over a bound the host is asked not to read. PINGREQs go on meanwhile, and what we do not
 * read is never the broker's silence.
 *
 * Invariant: after its end nothing of a session leaves any more.
 */

import {
  CONNACK,
  DISCONNECT,
  type PacketVisitor,
  PacketParser,
  type ProtocolFault,
  PUBLISH,
} from "../packet/parser.ts";
import { Deliveries } from "./deliveries.ts";
import { Liveness } from "./liveness.ts";
import {
  connectPacket,
  PINGRESP,
  PUBACK,
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

/** Of one connection; pushed bytes stay the caller's. */
export class Session implements PacketVisitor {
  readonly #host: SessionHost;
  readonly #parser: PacketParser;
  readonly #subscribing: Subscribing;
  readonly #deliveries: Deliveries;
  readonly #liveness: Liveness;
  readonly #level: 4 | 5;
  #state: SessionState = "greeting";
  #startedAt = 0;
  #paused = false;
  #readingOver = false;

  constructor(host: SessionHost) {
    this.#host = host;
    this.#level = host.config.level;
    this.#liveness = new Liveness(host.config);
    this.#parser = new PacketParser({ packetBytesMax: host.limits.packetBytesMax });
    this.#subscribing = new Subscribing(host, (bytes) => this.#write(bytes));
    this.#deliveries = new Deliveries(host, (bytes) => this.#write(bytes));
  }

  get state(): SessionState {
    return this.#state;
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
    if (type === PUBLISH) {
      const taken = this.#deliveries.publish(bytes, start, body, end);
      return typeof taken === "boolean" ? taken : this.#fail(taken);
    }
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

  /** A packet beyond the limit, as far as that. */
  packetHead(bytes: Uint8Array, start: number, body: number, end: number): void {
    if (this.#state === "over") return;
    const isPublish = bytes[start]! >> 4 === PUBLISH && this.#state !== "greeting";
    const fault = isPublish
      ? this.#deliveries.tooLarge(bytes, start, body, end)
      : "packet_too_large";
    if (fault !== undefined) this.#fail(fault);
  }

  #connack(bytes: Uint8Array, body: number, end: number): boolean {
    const connack = readConnack(this.#level, bytes, { body, end });
    if (connack === undefined) return this.#fail("packet_truncated");
    const { code, said, keptSeconds, keepAliveSeconds } = connack;
    if (code !== 0) return this.#end({ kind: "refused", code, said });
    const { memory, config } = this.#host;
    const now = this.#host.monotonic();
    memory.quota.begin(now - this.#startedAt);
    if (keepAliveSeconds > 0) {
      this.#liveness.keepAliveMs = Math.min(config.keepAliveMs, keepAliveSeconds * 1_000);
    }
    const isPersistent = config.sessionMs !== undefined;
    const sessionPresent = connack.sessionPresent && isPersistent;
    if (memory.welcome({ sessionPresent, isPersistent })) this.#host.counters.sessionsLost += 1;
    this.#state = "subscribing";
    this.#host.connected({ sessionPresent, keptSeconds });
    memory.canary?.forgive();
    if (!sessionPresent || !memory.isSubscribed) this.#subscribing.begin(now);
    this.#advance();
    return true;
  }

  #pubrel(bytes: Uint8Array, body: number, end: number): boolean {
    const answer = readAnswer(this.#level, bytes, { body, end });
    if (answer === undefined) return this.#fail("packet_truncated");
    this.#deliveries.complete(answer.id);
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
    this.#deliveries.weigh();
    this.#steer();
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
    this.#deliveries.seal();
  }

  /** Answers of durable messages; `due` is how many were unacknowledged before them. */
  release(answers: Uint8Array | undefined, due: number): void {
    if (answers === undefined || this.#state === "over") return;
    this.#deliveries.release(answers, due);
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
    this.#deliveries.giveUp(this.#parser);
  }

  /** The connection is gone. */
  close(): void {
    this.#deliveries.giveUp(this.#parser);
    this.#parser.close();
    this.#state = "over";
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
