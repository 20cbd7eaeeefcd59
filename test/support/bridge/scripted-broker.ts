/**
 * The far end of connections on a simulated network: parses what it gets with a parser that is not
 * ours, and answers as a test says; by itself it accepts, acknowledges and answers pings.
 */

import { generate, type Packet, parser } from "mqtt-packet";
import type { Net, NetHandlers, NetSocket } from "../../../src/core/doors.ts";
import { Fault } from "../../../src/core/faults.ts";

export type Connack = {
  readonly code?: number;
  readonly receiveMaximum?: number;
  readonly maximumPacketSize?: number;
  readonly maximumQoS?: 0 | 1;
};

export class ScriptedBroker {
  readonly packets: Packet[] = [];
  level: 4 | 5 = 5;
  connack: Connack | undefined = {};
  /** PUBACK reason of a PUBLISH; undefined: no answer. */
  puback: (packet: Packet) => number | undefined = () => 0;
  answersPings = true;
  isUp = true;
  /** Whether what is queued leaves, so that a socket can end. */
  takesGoodbyes = true;
  #handlers: NetHandlers | undefined;
  #closed = true;

  get net(): Pick<Net, "connect"> {
    return { connect: () => this.#connect() };
  }

  get isConnected(): boolean {
    return !this.#closed;
  }

  named(cmd: Packet["cmd"]): readonly Packet[] {
    return this.packets.filter((packet) => packet.cmd === cmd);
  }

  send(packet: Packet): void {
    const bytes = generate(packet, { protocolVersion: this.level });
    const shared = Buffer.alloc(bytes.length);
    bytes.copy(shared);
    this.#handlers?.onBytes(shared, bytes.length);
    shared.fill(0xee);
  }

  cut(reason = "ECONNRESET"): void {
    if (this.#closed) return;
    this.#closed = true;
    setImmediate(() => this.#handlers?.onClose(reason));
  }

  async #connect(): Promise<NetSocket> {
    await new Promise((resolve) => setImmediate(resolve));
    if (!this.isUp) throw new Fault("CONNECT_FAILED", "cannot connect to broker: ECONNREFUSED");
    this.#closed = false;
    const stream = parser({ protocolVersion: this.level });
    stream.on("packet", (packet) => {
      this.packets.push(packet);
      setImmediate(() => this.#answer(packet));
    });
    return {
      remote: "broker:1883",
      certificateName: undefined,
      queuedBytes: 0,
      start: (handlers) => {
        this.#handlers = handlers;
      },
      write: (bytes) => {
        if (!this.#closed) stream.parse(Buffer.from(bytes));
      },
      pause: () => undefined,
      resume: () => undefined,
      end: () => {
        if (this.takesGoodbyes) this.cut("");
      },
      destroy: () => this.cut(""),
    };
  }

  #answer(packet: Packet): void {
    if (this.#closed) return;
    if (packet.cmd === "connect" && this.connack !== undefined) {
      const { code = 0, ...properties } = this.connack;
      const common = { cmd: "connack", sessionPresent: false } as const;
      if (this.level === 4) this.send({ ...common, returnCode: code });
      else this.send({ ...common, reasonCode: code, properties });
      if (code !== 0) this.cut("");
    }
    if (packet.cmd === "pingreq" && this.answersPings) this.send({ cmd: "pingresp" });
    if (packet.cmd !== "publish" || packet.qos !== 1 || packet.messageId === undefined) return;
    const code = this.puback(packet);
    if (code === undefined) return;
    const { messageId } = packet;
    if (this.level === 4) this.send({ cmd: "puback", messageId });
    else this.send({ cmd: "puback", messageId, reasonCode: code });
  }
}
