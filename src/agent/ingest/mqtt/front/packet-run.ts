/** Packets for one client, written one behind the other, so that they leave in one write. */

export class PacketRun {
  bytes: Buffer;
  /** Bytes written. */
  length = 0;

  constructor(bytesExpected: number) {
    this.bytes = Buffer.allocUnsafe(bytesExpected);
  }

  /** Makes room for so many bytes more. */
  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.length + count, 2 * this.bytes.length));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  add(packet: Uint8Array): void {
    this.reserve(packet.length);
    this.bytes.set(packet, this.length);
    this.length += packet.length;
  }

  /** What was written, which is not changed any more. */
  get written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}
