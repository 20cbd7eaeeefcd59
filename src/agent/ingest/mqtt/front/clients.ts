/**
 * All connections: who is here, who waits for what, what they keep together, who is silent.
 *
 *   slots    [c0] [c1] [  ] [c3]      a slot is free again when nothing of its connection is in flight
 *   waiting  room: c3 c0    acks: c1    backlog:
 *
 * A connection that is refused again goes to the end of its line, so each gets its turn. When the
 * bytes held by all reach their bound, nobody is read from until they are half that.
 */

import type { Clock, NetSocket } from "../../../../core/doors.ts";
import type { Receiver } from "../../receiver.ts";
import type { Access } from "../access/access.ts";
import { hostOf } from "../access/login-failures.ts";
import type { Acks } from "./acks.ts";
import type { Broker } from "../broker/broker.ts";
import { Connection } from "./connection.ts";
import type { ConnectionHost, ConnectionLimits, Hold } from "./connection-host.ts";
import type { FaultCounts, FrontCounters } from "./counters.ts";

export type ClientsLimits = ConnectionLimits & {
  readonly connectionsMax: number;
  readonly outboundBytesMax: number;
  readonly splitBytesFree: number;
  readonly connectWaitMs: number;
  readonly closeWaitMs: number;
  readonly keepAliveSweepMs: number;
};

/** What every connection is given. */
export type ClientsParts = {
  readonly clock: Clock;
  readonly receiver: Receiver;
  readonly broker: Broker;
  readonly acks: Acks;
  readonly limits: ClientsLimits;
  readonly counters: FrontCounters;
  readonly faults: FaultCounts;
};

export class Clients implements ConnectionHost {
  readonly receiver: Receiver;
  readonly broker: Broker;
  readonly acks: Acks;
  readonly limits: ClientsLimits;
  readonly counters: FrontCounters;
  readonly faults: FaultCounts;
  readonly #clock: Clock;
  readonly #slots: (Connection | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #lines: Record<"room" | "acks" | "backlog", Connection[]> = {
    room: [],
    acks: [],
    backlog: [],
  };
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
    this.#clock = parts.clock;
  }

  get flooded(): boolean {
    return this.#flooded;
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  /** Takes a new socket, or closes it where there are enough. */
  accept(socket: NetSocket): void {
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    if (slot >= this.limits.connectionsMax) {
      this.counters.connectionsRefused += 1;
      socket.destroy();
      return;
    }
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
    if (hold === "room" || hold === "acks" || hold === "backlog")
      this.#lines[hold].push(connection);
  }

  /** Offers again what waits in one line, in turn, until one of it is refused for the same reason. */
  resume(hold: "room" | "acks" | "backlog"): void {
    const line = this.#lines[hold];
    if (line.length === 0) return;
    this.#lines[hold] = [];
    for (let i = 0; i < line.length; i++) {
      const connection = line[i]!;
      if (connection.hold !== hold) continue;
      connection.resume();
      // One client's acknowledgements say nothing about another's; a full batch does.
      if (connection.hold === hold && hold !== "acks") {
        this.#lines[hold] = [...line.slice(i + 1), ...this.#lines[hold]];
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
    const waits = { connectMs: this.limits.connectWaitMs, closeMs: this.limits.closeWaitMs };
    this.#each((connection) => {
      if (lateMs > this.limits.keepAliveSweepMs) connection.forgive(lateMs);
      connection.checkSilence(now, waits);
    });
  }

  // --- end ------------------------------------------------------------------------------------------

  closed(_connection: Connection): void {
    this.counters.connections -= 1;
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
  revoke(access: Access): void {
    this.#each((connection) => {
      const { credential, remote } = connection;
      if (credential === undefined || access.isCurrent(credential)) return;
      access.note("user_revoked", { address: hostOf(remote), user: credential.name });
      connection.end();
    });
  }

  /** Nobody is read from any more. */
  stopReading(): void {
    this.#each((connection) => connection.stopReading());
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
