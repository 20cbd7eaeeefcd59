/**
 * The shape of what a client of MQTT 3.1.1 sends besides PUBLISH: the broker reads such packets as
 * far as it needs them, and passes over what should not be there.
 *
 *   CONNECT      flags keepalive  id [will topic, message] [user] [password], and nothing more
 *   SUBSCRIBE    packet id (filter QoS)+         UNSUBSCRIBE  packet id filter+
 *   PUBACK, PUBREC, PUBREL, PUBCOMP  packet id   DISCONNECT   nothing
 *
 * Source: MQTT 3.1.1 (OASIS), 1.5.3 texts, 3.1, 3.4 to 3.7, 3.8.3, 3.10.3, 3.14, 4.7 filters.
 */

import { DISCONNECT, isTopicName, type ProtocolFault } from "./parser.ts";
import { MALFORMED, stringEnd } from "./properties.ts";

const SUBSCRIBE = 8;
const UNSUBSCRIBE = 10;

const WILL = 0x04;
const WILL_RETAIN = 0x20;
const PASSWORD = 0x40;
const USER = 0x80;

/** What is wrong with the packet of this type whose body is `bytes[body, end)`. O(length). */
export function shapeFault4(
  type: number,
  bytes: Uint8Array,
  body: number,
  end: number,
): ProtocolFault | undefined {
  if (type === DISCONNECT) return body === end ? undefined : "packet_too_long";
  if (body + 2 > end) return "packet_truncated";
  if (bytes[body] === 0 && bytes[body + 1] === 0) return "packet_id_zero";
  if (type === SUBSCRIBE || type === UNSUBSCRIBE) {
    return filtersFault(bytes, body + 2, end, type === SUBSCRIBE);
  }
  return body + 2 === end ? undefined : "packet_too_long";
}

/** Of the filters in `bytes[from, end)`, each with a QoS behind it in a SUBSCRIBE. */
function filtersFault(
  bytes: Uint8Array,
  from: number,
  end: number,
  withQos: boolean,
): ProtocolFault | undefined {
  if (from === end) return "packet_truncated";
  let at = from;
  while (at < end) {
    const last = stringEnd(bytes, at, end, true);
    if (last === MALFORMED || !isTopicFilter(bytes, at + 2, last)) return "topic_invalid";
    at = last;
    if (!withQos) continue;
    if (at === end) return "packet_truncated";
    if (bytes[at]! > 2) return "qos_invalid";
    at += 1;
  }
  return undefined;
}

/**
 * Whether the text `bytes[start, end)` is a topic filter: not empty, `+` a whole level, `#` the
 * whole last one.
 */
export function isTopicFilter(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte !== 0x2b && byte !== 0x23) continue;
    const begins = i === start || bytes[i - 1] === 0x2f;
    const ends = i + 1 === end || (byte === 0x2b && bytes[i + 1] === 0x2f);
    if (!begins || !ends) return false;
  }
  return end > start;
}

/** Whether a CONNECT has what its flags, at `flagsAt`, announce, and nothing else. */
export function isConnectSound4(bytes: Uint8Array, flagsAt: number, end: number): boolean {
  const flags = bytes[flagsAt]!;
  const willQos = (flags >> 3) & 3;
  if ((flags & 1) !== 0 || willQos === 3) return false;
  if ((flags & WILL) === 0 && (willQos !== 0 || (flags & WILL_RETAIN) !== 0)) return false;
  if ((flags & USER) === 0 && (flags & PASSWORD) !== 0) return false;
  let at = stringEnd(bytes, flagsAt + 3, end, true);
  if ((flags & WILL) !== 0 && at !== MALFORMED) {
    const topicAt = at + 2;
    at = stringEnd(bytes, at, end, true);
    if (at !== MALFORMED && !isTopicName(bytes, topicAt, at)) return false;
    if (at !== MALFORMED) at = stringEnd(bytes, at, end, false);
  }
  if ((flags & USER) !== 0 && at !== MALFORMED) at = stringEnd(bytes, at, end, true);
  if ((flags & PASSWORD) !== 0 && at !== MALFORMED) at = stringEnd(bytes, at, end, false);
  return at === end;
}
