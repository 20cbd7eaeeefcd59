/**
 * A SUBSCRIBE in which a filter stands more than once: the broker takes the last of equal filters,
 * and answers for each that is left. The client is owed an answer for each it sent (MQTT 3.1.1,
 * 3.8.4), so what was repeated is put back into the SUBACK.
 *
 *   SUBSCRIBE a b a  -> broker: a b      SUBACK of a, b  -> of a, b, a
 *
 * Nothing is kept for a SUBSCRIBE without repetitions. What is kept is bounded by what the broker
 * has not read.
 */

import { bodyAt, packetBytesAt } from "../packet/parser.ts";
import { packetOf } from "../packet/write-packet.ts";

const SUBACK = 9;
const REFUSED = 0x80;

type Repeated = {
  /** Of each filter the client sent: its place among those that are different. */
  readonly places: readonly number[];
  /** Of each: the QoS it asked for. */
  readonly wanted: readonly number[];
};

export class RepeatedFilters {
  /** By the packet id of the SUBSCRIBE. */
  readonly #repeated = new Map<number, Repeated>();

  /** A sound SUBSCRIBE whose body is `bytes[body, end)` goes to the broker. */
  subscribe(bytes: Uint8Array, body: number, end: number): void {
    const placeOf = new Map<string, number>();
    const places: number[] = [];
    const wanted: number[] = [];
    for (let at = body + 2; at < end; ) {
      const last = at + 2 + ((bytes[at]! << 8) | bytes[at + 1]!);
      if (at === body + 2 && last + 1 === end) return;
      const filter = Buffer.from(bytes.subarray(at + 2, last)).toString("latin1");
      const place = placeOf.get(filter) ?? placeOf.size;
      placeOf.set(filter, place);
      places.push(place);
      wanted.push(bytes[last]!);
      at = last + 1;
    }
    if (placeOf.size === places.length) return;
    this.#repeated.set((bytes[body]! << 8) | bytes[body + 1]!, { places, wanted });
  }

  /** What the broker wrote, whole packets, with the SUBACKs as the client is owed them. */
  answer(packets: Uint8Array): Uint8Array {
    if (this.#repeated.size === 0) return packets;
    const parts: Uint8Array[] = [];
    for (let at = 0; at < packets.length; ) {
      const end = at + packetBytesAt(packets, at, packets.length);
      parts.push(this.#whole(packets.subarray(at, end)));
      at = end;
    }
    return Buffer.concat(parts);
  }

  #whole(packet: Uint8Array): Uint8Array {
    if (packet[0]! >> 4 !== SUBACK) return packet;
    const body = bodyAt(packet, 0);
    const id = (packet[body]! << 8) | packet[body + 1]!;
    const repeated = this.#repeated.get(id);
    if (repeated === undefined) return packet;
    this.#repeated.delete(id);
    const codes = repeated.places.map((place, i) => {
      const code = packet[body + 2 + place] ?? REFUSED;
      return code === REFUSED ? code : Math.min(code, repeated.wanted[i]!);
    });
    return packetOf(packet[0]!, packet.subarray(body, body + 2), Buffer.from(codes));
  }
}
