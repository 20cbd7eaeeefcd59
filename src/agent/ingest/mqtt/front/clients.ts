/**
 * All connections: who is here, who waits for what, what they keep together, who is silent.
 *
 *   slots    [c0] [c1] [  ] [c3]      a slot is free again when nothing of its connection is in flight
 *   waiting  room: c3 c0    acks: c1    backlog:    turn: c2    share:    rate:
 *
 * A connection that is refused again goes to the end of its line, so each gets its turn, of so many
 * packets (see Pace). When the
 * bytes held by all reach their bound, nobody is read from until they are half that.
 */

import type { Clock, NetSocket, Random } from "../../../../core/doors.ts";
import type { Receiver } from "../../receiver.ts";
import type { Access } from "../access/access.ts";
import { Arrivals, type ArrivalsLimits } from "../../../../core/arrivals.ts";
import { Unwelcome } from "../access/unwelcome.ts";
import { hostOf } from "../../../../core/addresses.ts";
import type { Acks } from "./acks.ts";
import type { Broker } from "../broker/broker.ts";
import { Connection } from "./connection.ts";
import type { ConnectionHost, ConnectionLimits, Hold } from "./connection-host.ts";
import type { FaultCounts, FrontCounters } from "./front-counters.ts";
import type { Sessions5 } from "./sessions-5.ts";
import { WaitingLine } from "./waiting-line.ts";

export type ClientsLimits = ConnectionLimits &
  ArrivalsLimits & {
    readonly connectionsMax: number;
    readonly rateLookMs: number;
    readonly unwelcomeMax: number;
    readonly unwelcomeMs: number;
    readonly loginWaitMs: number;
    readonly outboundBytesMax: number;
    readonly splitBytesFree: number;
    readonly connectWaitMs: number;
    readonly closeWaitMs: number;
    readonly keepAliveSweepMs: number;
  };

/** What every connection is given. */
type ClientsParts = {
  readonly access: Access;
  readonly clock: Clock;
  readonly random: Random;
  readonly receiver: Receiver;
  readonly broker: Broker;
  readonly acks: Acks;
  readonly sessions: Sessions5;
  readonly limits: ClientsLimits;
  readonly counters: FrontCounters;
  readonly faults: FaultCounts;
};

/** Lines that are resumed from outside. */
type Line = "room" | "acks" | "backlog" | "share";

export class Clients implements ConnectionHost {
  readonly receiver: Receiver;
  readonly broker: Broker;
  readonly acks: Acks;
  readonly sessions: Sessions5;
  readonly limits: ClientsLimits;
  readonly counters: FrontCounters;
  readonly faults: FaultCounts;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #byClientId = new Map<string, Connection>();
  readonly #slots: (Connection | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #lines: Readonly<Record<Line, WaitingLine<Connection>>> = {
    room: new WaitingLine(({ hold }) => hold === "room"),
    acks: new WaitingLine(({ hold }) => hold === "acks"),
    backlog: new WaitingLine(({ hold }) => hold === "backlog"),
    share: new WaitingLine(({ hold }) => hold === "share"),
  };
  readonly #arrivals: Arrivals;
  readonly #access: Access;
  /** Those who wait for time, with when it has come. */
  #slow: { readonly connection: Connection; readonly atMs: number }[] = [];
  /** Those whose turn comes after the others'. */
  #turn: Connection[] = [];
  #resting: Connection[] = [];
  readonly #unwelcome: Unwelcome;
  #batch = 0;
  #soon: Connection[] = [];
  #flooded = false;
  #cancelSweep: (() => void) | undefined;
  #sweptAt = 0;
  #whenEmpty: (() => void) | undefined;

  constructor(parts: ClientsParts) {
    this.receiver = parts.receiver;
    this.broker = parts.broker;
    this.acks = parts.acks;
    this.limits = parts.limits;
    this.counters = parts.counters;
    this.faults = parts.faults;
    this.sessions = parts.sessions;
    this.#clock = parts.clock;
    this.#access = parts.access;
    this.#unwelcome = new Unwelcome({
      after: (ms, run) => this.#clock.after(ms, run),
      countMax: parts.limits.unwelcomeMax,
      keepMs: parts.limits.unwelcomeMs,
    });
    this.#arrivals = new Arrivals({ limits: parts.limits, monotonic: () => this.monotonic() });
    this.#random = parts.random;
  }

  get flooded(): boolean {
    return this.#flooded;
  }

  get batch(): number {
    return this.#batch;
  }

  /** The open batch is another: who had its share of the last one may go on. */
  nextBatch(): void {
    this.#batch += 1;
    if (this.#lines.share.length > 0) this.#clock.soon(() => this.resume("share"));
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  makeClientId(): string {
    const words = [0, 1, 2, 3].map(() => this.#random.uint32().toString(16).padStart(8, "0"));
    return `weir-${words.join("")}`;
  }

  arrived(connection: Connection, clientId: string): void {
    const older = this.#byClientId.get(clientId);
    this.#byClientId.set(clientId, connection);
    connection.clientId = clientId;
    if (older !== connection) older?.close("taken-over");
  }

  /** Takes a new socket, or closes it where there are enough. */
  accept(socket: NetSocket): void {
    const isFull = this.#freeSlots.length === 0 && this.#slots.length >= this.limits.connectionsMax;
    if (isFull || !this.#arrivals.arrived(hostOf(socket.remote))) {
      if (isFull) this.counters.connectionsRefused += 1;
      else this.counters.connectionsLimited += 1;
      if (isFull) socket.destroy();
      else this.#unwelcome.add(socket);
      return;
    }
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    const connection = new Connection(socket, slot, this);
    this.#slots[slot] = connection;
    this.counters.connectionsAccepted += 1;
    this.counters.connections += 1;
    connection.start();
    this.#scheduleSweep();
  }

  /** The connection that owns a slot in the acknowledgements. */
  at(slot: number): Connection | undefined {
    return this.#slots[slot];
  }

  // --- waiting --------------------------------------------------------------------------------------

  wait(connection: Connection, hold: Hold): void {
    if (hold === "room" || hold === "acks" || hold === "backlog" || hold === "share") {
      this.#lines[hold].add(connection);
    } else if (hold === "turn") {
      this.#turn.push(connection);
      if (this.#turn.length === 1) this.#clock.soon(() => this.#nextTurn());
    } else if (hold === "rate") {
      this.counters.rateWaits += 1;
      this.#slow.push({ connection, atMs: this.monotonic() + connection.waitMs });
      if (this.#slow.length === 1) this.#lookAtSlow();
    }
  }

  rest(connection: Connection): void {
    this.#resting.push(connection);
    if (this.#resting.length > 1) return;
    this.#clock.soon(() => {
      const rested = this.#resting;
      this.#resting = [];
      for (const each of rested) each.readOn();
    });
  }

  denied(connection: Connection, topic: string): void {
    const user = connection.credential?.name;
    this.#access.note("publish_denied", { address: hostOf(connection.remote), user, topic });
  }

  #nextTurn(): void {
    const line = this.#turn;
    this.#turn = [];
    for (const connection of line) if (connection.hold === "turn") connection.resume();
  }

  #lookAtSlow(): void {
    this.#clock.after(this.limits.rateLookMs, () => {
      const now = this.monotonic();
      const slow = this.#slow;
      this.#slow = [];
      const waiting = slow.filter(({ connection, atMs }) => {
        if (connection.hold !== "rate") return false;
        if (atMs > now) return true;
        connection.resume();
        return false;
      });
      // Who had to wait again stands there already, with a look of its own.
      const isLooking = this.#slow.length > 0;
      this.#slow.push(...waiting);
      if (!isLooking && this.#slow.length > 0) this.#lookAtSlow();
    });
  }

  /** Offers again what waits in one line, in turn, until one of it is refused for the same reason. */
  resume(hold: Line): void {
    const line = this.#lines[hold];
    if (line.length === 0) return;
    const waiting = line.take();
    for (const [i, connection] of waiting.entries()) {
      if (connection.hold !== hold) continue;
      connection.resume();
      // One client's acknowledgements say nothing about another's; a full batch does.
      if (connection.hold === hold && hold !== "acks" && hold !== "share") {
        line.putBack(waiting.slice(i + 1));
        return;
      }
    }
  }

  resumeSoon(connection: Connection): void {
    this.#soon.push(connection);
    if (this.#soon.length > 1) return;
    this.#clock.soon(() => {
      const ready = this.#soon;
      this.#soon = [];
      for (const each of ready) each.resume();
    });
  }

  // --- shared bounds ----------------------------------------------------------------------------------

  account(kind: "held" | "split", change: number, bytes: number): boolean {
    if (kind === "split") {
      this.counters.splitBytes += change;
      return (
        bytes <= this.limits.splitBytesFree || this.counters.splitBytes <= this.limits.heldBytesMax
      );
    }
    this.counters.heldBytes += change;
    const { heldBytes } = this.counters;
    const { heldBytesMax } = this.limits;
    if (heldBytes >= heldBytesMax && !this.#flooded) this.#flood(true);
    else if (heldBytes < heldBytesMax / 2 && this.#flooded) this.#flood(false);
    return true;
  }

  accountOutbound(change: number, bytes: number): boolean {
    this.counters.outboundBytes += change;
    if (this.counters.outboundBytes <= this.limits.outboundBytesMax) return true;
    return bytes <= this.limits.outboundBytesMax / this.counters.connections;
  }

  #flood(flooded: boolean): void {
    this.#flooded = flooded;
    this.#each((connection) => connection.steer());
  }

  // --- time -----------------------------------------------------------------------------------------

  #scheduleSweep(): void {
    if (this.#cancelSweep !== undefined || this.counters.connections === 0) return;
    this.#sweptAt = this.#clock.monotonic();
    this.#cancelSweep = this.#clock.after(this.limits.keepAliveSweepMs, () => {
      this.#cancelSweep = undefined;
      this.#sweep();
      this.#scheduleSweep();
    });
  }

  /** A sweep that comes late means that we were not running: what was sent meanwhile is still unread. */
  #sweep(): void {
    const now = this.#clock.monotonic();
    const lateMs = now - this.#sweptAt - this.limits.keepAliveSweepMs;
    const { connectWaitMs, loginWaitMs, closeWaitMs } = this.limits;
    const waits = { new: connectWaitMs, connecting: loginWaitMs, closing: closeWaitMs };
    this.#each((connection) => {
      if (lateMs > this.limits.keepAliveSweepMs) connection.forgive(lateMs);
      connection.checkSilence(now, waits);
    });
  }

  // --- end ------------------------------------------------------------------------------------------

  closed(connection: Connection): void {
    const { clientId } = connection;
    if (clientId !== undefined && this.#byClientId.get(clientId) === connection) {
      this.#byClientId.delete(clientId);
    }
    this.counters.connections -= 1;
    this.#arrivals.left(hostOf(connection.remote));
    if (connection.credential !== undefined) this.#access.left(connection.credential);
    if (this.counters.connections > 0) return;
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    this.#whenEmpty?.();
  }

  settled(connection: Connection): void {
    this.#slots[connection.slot] = undefined;
    this.#freeSlots.push(connection.slot);
  }

  /** Closes everyone whose messages were lost: they send them again to whoever answers next. */
  abandon(): void {
    this.#each((connection) => {
      if (connection.inFlight > 0) connection.destroy();
    });
  }

  /** Closes everyone whose user is gone, or has another secret. */
  revoke(): void {
    const access = this.#access;
    this.#each((connection) => {
      const { credential, remote } = connection;
      if (credential === undefined || access.isCurrent(credential)) return;
      access.note("user_revoked", { address: hostOf(remote), user: credential.name });
      connection.close("revoked");
    });
  }

  /** Nobody is read from any more. */
  stopReading(): void {
    this.#each((connection) => connection.stopReading());
    this.#unwelcome.close();
  }

  /** Sends what is due and closes everyone, the slow ones after `closeWaitMs`. */
  async close(): Promise<void> {
    this.#each((connection) => connection.close("shutdown"));
    if (this.counters.connections === 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(this.limits.closeWaitMs, resolve);
      this.#whenEmpty = () => {
        cancel();
        resolve();
      };
    });
    this.#each((connection) => connection.destroy());
  }

  #each(visit: (connection: Connection) => void): void {
    for (const connection of this.#slots) {
      if (connection !== undefined && !connection.isClosed) visit(connection);
    }
  }
}
