/**
 * A WebSocket client that is not a library's: it speaks RFC 6455 by hand, so that a test can send
 * frames that no library would, and cut packets wherever it likes.
 */

import { connect, type Socket } from "node:net";
import type { Rig } from "../support/front-rig.ts";
import type { Wire } from "./wire.ts";

export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
const CLOSE = 8;

export const webSocketPath = "/mqtt";

export class WebSocketWire implements Wire {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  /** The answer to the upgrade, once it is whole. */
  #answer: string | undefined;
  #isOver = false;
  #unsent: Buffer[] = [];
  /** Of each frame that came. */
  readonly opcodes: number[] = [];
  #payloads: Buffer[] = [];

  constructor(rig: Rig, options: { readonly subprotocols?: string } = {}) {
    const { subprotocols = "mqtt" } = options;
    this.#socket = connect({ host: "127.0.0.1", port: rig.front.port, noDelay: true });
    this.#socket.on("data", (piece) => this.#onBytes(Buffer.from(piece)));
    for (const end of ["end", "close", "error"]) {
      this.#socket.on(end, () => {
        this.#isOver = true;
        this.#socket.destroy();
      });
    }
    this.#socket.write(
      [
        `GET ${webSocketPath} HTTP/1.1`,
        `Host: 127.0.0.1:${rig.front.port}`,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
        ...(subprotocols === "" ? [] : [`Sec-WebSocket-Protocol: ${subprotocols}`]),
        "",
        "",
      ].join("\r\n"),
    );
  }

  get isClosed(): boolean {
    return this.#isOver;
  }

  /** The subprotocol the server chose. */
  get subprotocol(): string | undefined {
    return /^sec-websocket-protocol: *(\S+)/im.exec(this.#answer ?? "")?.[1];
  }

  send(bytes: Uint8Array): void {
    this.frame(BINARY, bytes);
  }

  /** One frame; masked, as a client must, with a mask that changes nothing. */
  frame(opcode: number, payload: Uint8Array, isLast = true): void {
    const { length } = payload;
    const size =
      length < 126
        ? [0x80 | length]
        : length < 65_536
          ? [0x80 | 126, length >> 8, length & 0xff]
          : [
              0x80 | 127,
              0,
              0,
              0,
              0,
              (length >> 24) & 0xff,
              (length >> 16) & 0xff,
              (length >> 8) & 0xff,
              length & 0xff,
            ];
    const head = Buffer.from([(isLast ? 0x80 : 0) | opcode, ...size, 0, 0, 0, 0]);
    const frame = Buffer.concat([head, payload]);
    if (this.#answer === undefined) this.#unsent.push(frame);
    else if (!this.#isOver) this.#socket.write(frame);
  }

  pull(): Buffer {
    const bytes = Buffer.concat(this.#payloads);
    this.#payloads = [];
    return bytes;
  }

  vanish(): void {
    this.#socket.resetAndDestroy();
  }

  #onBytes(piece: Buffer): void {
    this.#received = Buffer.concat([this.#received, piece]);
    if (this.#answer === undefined) {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.#answer = this.#received.subarray(0, end).toString();
      this.#received = this.#received.subarray(end + 4);
      for (const frame of this.#unsent) this.#socket.write(frame);
      this.#unsent = [];
    }
    while (this.#takeFrame());
  }

  #takeFrame(): boolean {
    const bytes = this.#received;
    if (bytes.length < 2) return false;
    const short = bytes[1]! & 0x7f;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < head) return false;
    const length =
      short < 126
        ? short
        : short === 126
          ? bytes.readUInt16BE(2)
          : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < head + length) return false;
    const opcode = bytes[0]! & 0x0f;
    this.opcodes.push(opcode);
    if (opcode === BINARY || opcode === CONTINUATION) {
      this.#payloads.push(bytes.subarray(head, head + length));
    } else if (opcode === CLOSE) {
      this.#isOver = true;
      this.#socket.end();
    }
    this.#received = bytes.subarray(head + length);
    return true;
  }
}
