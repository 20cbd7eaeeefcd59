/**
 * Walks over what a connection kept when it ended: QoS 0 of a source is shed, unless it was not the
 * client's to send; acknowledged kinds will be sent again; and a DISCONNECT still tells the broker
 * that no will is due.
 */

import type { ClientRights } from "../access/client-rights.ts";
import { DISCONNECT, type PacketVisitor, PUBLISH } from "../packet/parser.ts";
import { createPublish5Offsets } from "../packet/publish-5.ts";
import { NO_SOURCE, type Receiver } from "../../receiver.ts";
import type { Protocol } from "./protocol.ts";

const offsets = createPublish5Offsets();

export class GivenUp implements PacketVisitor {
  readonly #protocol: Protocol;
  readonly #receiver: Receiver;
  readonly #rights: ClientRights | undefined;

  constructor(parts: {
    readonly protocol: Protocol;
    readonly receiver: Receiver;
    readonly rights: ClientRights | undefined;
  }) {
    this.#protocol = parts.protocol;
    this.#receiver = parts.receiver;
    this.#rights = parts.rights;
  }

  packet(bytes: Uint8Array, start: number, body: number, end: number): true {
    const type = bytes[start]! >> 4;
    if (type === DISCONNECT) this.#protocol.leave(bytes, start, body, end);
    if (type !== PUBLISH) return true;
    const fault = this.#protocol.readPublish(bytes, start, body, end, offsets);
    if (fault !== undefined || offsets.qos !== 0) return true;
    const { names, topicStart, topicEnd } = offsets;
    const topic = this.#receiver.topicOf(names, topicStart, topicEnd);
    if (topic === NO_SOURCE) return true;
    if (this.#rights?.mayPublishTo(topic, names, topicStart, topicEnd) === false) return true;
    this.#receiver.shed(topic);
    return true;
  }
}
