/**
 * MQTT packets from their parts, so that a test can send what no encoder would make.
 * Source: MQTT 3.1.1, 1.5 and 2.2; MQTT 5, 1.5 and 2.1.
 */

/** A packet with the first byte `head`; its remaining length is that of the parts. */
export function frame(head: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([head]), variable(body.length), body]);
}

/** A Variable Byte Integer, as short as it can be. */
export function variable(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const more = rest >= 128;
    bytes.push((rest % 128) + (more ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.from(bytes);
}

export function byte(...values: readonly number[]): Buffer {
  return Buffer.from(values);
}

/** A Two Byte Integer. */
export function word(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

/** A Four Byte Integer. */
export function long(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A string or binary data with its length in front. */
export function text(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([word(bytes.length), bytes]);
}

/** The properties of an MQTT 5 packet with their length in front. */
export function properties(...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([variable(body.length), body]);
}

/** What a CONNECT consists of; the fields of the payload as they are given, in the right order. */
type ConnectParts = {
  readonly name?: string;
  readonly level?: number;
  readonly flags?: number;
  readonly keepAlive?: number;
  /** MQTT 5 only. */
  readonly properties?: readonly Uint8Array[];
  readonly payload: readonly Uint8Array[];
};

export function connectBytes(level: 4 | 5, parts: ConnectParts): Buffer {
  return frame(
    0x10,
    text(parts.name ?? "MQTT"),
    byte(parts.level ?? level, parts.flags ?? 0x02),
    word(parts.keepAlive ?? 0),
    level === 5 ? properties(...(parts.properties ?? [])) : byte(),
    ...parts.payload,
  );
}

/** Text that is no UTF-8: a lone continuation byte, a surrogate, an overlong form, beyond Unicode. */
export const illFormed: readonly Uint8Array[] = [
  Buffer.from([0x61, 0x80]),
  Buffer.from([0x61, 0xed, 0xa0, 0x80]),
  Buffer.from([0x61, 0xc0, 0xaf]),
  Buffer.from([0x61, 0xf4, 0x90, 0x80, 0x80]),
];
