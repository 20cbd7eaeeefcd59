/**
 * What the front must know of a CONNECT before the broker sees it: the protocol level, whether it is
 * sound, and where the keep alive stands, because the front enforces it and tells the broker "none".
 *
 *   length name level flags keepalive payload...
 *     2     n     1     1       2
 *
 * Source: MQTT 3.1.1, 3.1; MQTT 5, 3.1.2 and 3.2.2.2 for the answer to levels beyond it.
 */

import { isConnectSound4 } from "./shape-4.ts";

/** Levels the broker speaks: 3 is MQTT 3.1 ("MQIsdp"), 4 is 3.1.1 ("MQTT"). */
const nameOfLevel = new Map([
  [3, "MQIsdp"],
  [4, "MQTT"],
]);

/** Of the level: a bridge (of Mosquitto, by its own convention), to which nothing of its own shall come back. */
const BRIDGE = 0x80;
const CLEAN = 0x02;
const IDENTIFIER_REJECTED = Buffer.from([0x20, 2, 0, 2]);

type ConnectPacket =
  | {
      readonly kind: "accepted";
      readonly keepAliveSeconds: number;
      /** Offsets into `bytes`. */
      readonly keepAliveAt: number;
      readonly levelAt: number;
      /** It says in its level that it is one. */
      readonly isBridge: boolean;
    }
  /** Of MQTT 5: its flags are at `flagsAt`, an offset into `bytes`. */
  | { readonly kind: "five"; readonly flagsAt: number }
  /** Of a protocol that is not spoken here; `answer` is the CONNACK that says so. */
  | { readonly kind: "unsupported"; readonly level: number; readonly answer: Uint8Array }
  /** No client identifier, and a session that should be kept under it; `answer` is the CONNACK. */
  | { readonly kind: "unnamed"; readonly answer: Uint8Array }
  | { readonly kind: "invalid" };

/** Reads the CONNECT in `bytes[start, end)` with its body at `body`. */
export function readConnect(
  bytes: Uint8Array,
  range: { readonly start: number; readonly body: number; readonly end: number },
): ConnectPacket {
  const { start, body, end } = range;
  if ((bytes[start]! & 0x0f) !== 0 || body + 2 > end) return { kind: "invalid" };
  const nameEnd = body + 2 + ((bytes[body]! << 8) | bytes[body + 1]!);
  const keepAliveAt = nameEnd + 2;
  if (keepAliveAt + 2 > end) return { kind: "invalid" };
  const name = String.fromCharCode(...bytes.subarray(body + 2, Math.min(nameEnd, body + 16)));
  const level = bytes[nameEnd]!;
  if (name !== "MQTT" && name !== "MQIsdp") return { kind: "invalid" };
  if (level === 5 && name === "MQTT") return { kind: "five", flagsAt: nameEnd + 1 };
  if (nameOfLevel.get(level & ~BRIDGE) !== name) {
    return { kind: "unsupported", level, answer: unsupported(level) };
  }
  if (!isConnectSound4(bytes, nameEnd + 1, end)) return { kind: "invalid" };
  const isUnnamed = bytes[keepAliveAt + 2] === 0 && bytes[keepAliveAt + 3] === 0;
  if (isUnnamed && (bytes[nameEnd + 1]! & CLEAN) === 0) {
    return { kind: "unnamed", answer: IDENTIFIER_REJECTED };
  }
  const keepAliveSeconds = (bytes[keepAliveAt]! << 8) | bytes[keepAliveAt + 1]!;
  const isBridge = (level & BRIDGE) !== 0;
  return { kind: "accepted", keepAliveSeconds, keepAliveAt, levelAt: nameEnd, isBridge };
}

/** "Unsupported protocol version": 0x84 with no properties in MQTT 5, return code 1 before. */
function unsupported(level: number): Uint8Array {
  return level >= 5 ? Buffer.from([0x20, 3, 0, 0x84, 0]) : Buffer.from([0x20, 2, 0, 1]);
}
