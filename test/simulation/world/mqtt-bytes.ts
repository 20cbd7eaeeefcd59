/**
 * MQTT as bytes, written and read by hand: whoever talks to the agent in a simulated world shares no
 * code with it. MQTT 3.1.1 and 5.0, section 2.
 */

export const CONNECT = 1;
export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const SUBACK = 9;
export const UNSUBSCRIBE = 10;
export const UNSUBACK = 11;
export const PINGREQ = 12;
export const PINGRESP = 13;
export const DISCONNECT = 14;

export function encode(characters: string): Uint8Array {
  return new TextEncoder().encode(characters);
}

export function u16(value: number): readonly number[] {
  return [value >> 8, value & 0xff];
}

/** A string of MQTT, its length before it. */
export function text(value: string): readonly number[] {
  const bytes = encode(value);
  return [...u16(bytes.length), ...bytes];
}

/** A packet of up to 16,383 bytes behind its header; `first` holds type and flags. */
export function packet(
  first: number,
  head: readonly number[],
  payload: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const length = head.length + payload.length;
  const remaining = length < 128 ? [length] : [(length & 0x7f) | 0x80, length >> 7];
  return Uint8Array.from([first, ...remaining, ...head, ...payload]);
}

export type Packet = { readonly type: number; readonly flags: number; readonly body: Uint8Array };

/** Packets out of a stream that is cut anywhere. */
export class PacketStream {
  #rest: Uint8Array = new Uint8Array(0);

  /** The packets that are complete now. */
  push(bytes: Uint8Array): readonly Packet[] {
    const all = Buffer.concat([this.#rest, bytes]);
    const packets: Packet[] = [];
    let at = 0;
    for (;;) {
      const length = lengthAt(all, at + 1);
      if (length === undefined || all.length < length.end + length.value) break;
      const body = all.subarray(length.end, length.end + length.value);
      packets.push({ type: all[at]! >> 4, flags: all[at]! & 15, body });
      at = length.end + length.value;
    }
    this.#rest = all.subarray(at);
    return packets;
  }
}

/** A variable byte integer, and where it ends. */
export function lengthAt(
  bytes: Uint8Array,
  at: number,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  for (let i = 0; i < 4; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) << (7 * i);
    if (byte < 0x80) return { value, end: at + i + 1 };
  }
  return undefined;
}

/** Reads the fields of a body, one after another. */
export class Fields {
  readonly #body: Uint8Array;
  #at = 0;

  constructor(body: Uint8Array) {
    this.#body = body;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#body.length;
  }

  get rest(): Uint8Array {
    return this.#body.subarray(this.#at);
  }

  u8(): number {
    return this.#body[this.#at++] ?? 0;
  }

  u16(): number {
    return (this.u8() << 8) | this.u8();
  }

  u32(): number {
    return this.u16() * 65_536 + this.u16();
  }

  text(): string {
    return new TextDecoder().decode(this.#take(this.u16()));
  }

  /** Properties by identifier, those that are numbers; of MQTT 5.0, section 2.2.2. */
  properties(): ReadonlyMap<number, number> {
    const length = lengthAt(this.#body, this.#at) ?? { value: 0, end: this.#at };
    const end = length.end + length.value;
    this.#at = length.end;
    const found = new Map<number, number>();
    while (this.#at < end) {
      const id = this.u8();
      const value = this.#property(id);
      if (value !== undefined) found.set(id, value);
    }
    return found;
  }

  #property(id: number): number | undefined {
    if ([0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a].includes(id)) return this.u8();
    if ([0x13, 0x21, 0x22, 0x23].includes(id)) return this.u16();
    if ([0x02, 0x11, 0x18, 0x27].includes(id)) return this.u32();
    if (id === 0x0b) {
      const number = lengthAt(this.#body, this.#at)!;
      this.#at = number.end;
      return number.value;
    }
    this.#take(this.u16());
    if (id === 0x26) this.#take(this.u16());
    return undefined;
  }

  #take(count: number): Uint8Array {
    this.#at += count;
    return this.#body.subarray(this.#at - count, this.#at);
  }
}
