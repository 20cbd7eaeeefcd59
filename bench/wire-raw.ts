/**
 * What the same readings take as raw JSON over MQTT 3.1.1, QoS 1: PUBLISH and PUBACK, byte for byte,
 * without what TCP and IP add. Nothing is sent: the sizes are those of the packets.
 *
 *   fields    a message a reading: the payload of `bench ingest`, seven fields of which one is measured
 *   reading   a message a reading: time and value, nothing else
 *   device    a message a device and second: a time and ten values
 *   zstd 1 s, 1 min   the time-and-value readings of all devices with their names, a line each,
 *             compressed by zstd (level 3) to a message a second or a minute
 */

import { constants, zstdCompressSync } from "node:zlib";

export const rawForms = ["fields", "reading", "device", "zstd_1s", "zstd_1min"] as const;

export type RawBytes = Readonly<Record<(typeof rawForms)[number], number>>;

const pubackBytes = 4;
const zstdLevel = 3;

export class RawMeter {
  readonly #bytes: Record<(typeof rawForms)[number], number> = {
    fields: 0,
    reading: 0,
    device: 0,
    zstd_1s: 0,
    zstd_1min: 0,
  };
  #second: string[] = [];
  #minute: string[] = [];

  /** What has been taken so far; the last minute when it is whole. */
  get bytes(): RawBytes {
    return { ...this.#bytes };
  }

  /** All that a device says in one second. */
  take(device: string, timeMs: number, values: Float64Array): void {
    const pairs: string[] = [];
    for (const [i, value] of values.entries()) {
      const topic = `plant/${device}/m${i}`;
      const fields = `{"ts":${timeMs},"temperature":${value},"unit":"Cel","status":"ok","rssi":-67,"fw":"1.4.2","b":3.6}`;
      this.#bytes.fields += messageBytes(topic, fields.length);
      this.#bytes.reading += messageBytes(topic, `{"ts":${timeMs},"value":${value}}`.length);
      this.#second.push(
        `{"device":"${device}","metric":"m${i}","ts":${timeMs},"value":${value}}\n`,
      );
      pairs.push(`"m${i}":${value}`);
    }
    const ofDevice = `{"ts":${timeMs},${pairs.join(",")}}`;
    this.#bytes.device += messageBytes(`plant/${device}/state`, ofDevice.length);
  }

  /** The second is over; `isMinute`: and a minute with it. */
  endSecond(isMinute: boolean): void {
    const text = this.#second.join("");
    this.#second = [];
    this.#minute.push(text);
    this.#bytes.zstd_1s += compressedBytes(text);
    if (!isMinute) return;
    this.#bytes.zstd_1min += compressedBytes(this.#minute.join(""));
    this.#minute = [];
  }
}

function compressedBytes(text: string): number {
  const params = { [constants.ZSTD_c_compressionLevel]: zstdLevel };
  return messageBytes("plant/batch", zstdCompressSync(text, { params }).length);
}

/** PUBLISH with a packet id (MQTT 3.1.1, 3.3), and its PUBACK. */
function messageBytes(topic: string, payloadBytes: number): number {
  const remaining = 2 + topic.length + 2 + payloadBytes;
  const lengthBytes = remaining < 128 ? 1 : remaining < 16_384 ? 2 : remaining < 2_097_152 ? 3 : 4;
  return 1 + lengthBytes + remaining + pubackBytes;
}
