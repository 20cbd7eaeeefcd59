/**
 * Encoded blocks of one section that wait until the section before it is written, in one buffer: as
 * objects they would outlive the young generation by the thousand, and each collection of the old one
 * holds up who publishes.
 *
 *   DEVICE                                        the blocks that follow are of another device
 *   BLOCK, series, figures, lengths, checksums, stamps, values
 */

import { ByteReader, ByteWriter } from "../../../core/bytes.ts";
import { type SeriesId, seriesId } from "../../../core/units.ts";
import type { EncodedBlock } from "../file/encoded-block.ts";
import type { TableWriter } from "../file/table-writer.ts";

const DEVICE = 0;
const BLOCK = 1;
const BLOCK_HEAD_BYTES = 1 + 5 * 4 + 7 * 8;
const BYTES_AT_FIRST = 4_096;

export class GatheredBlocks {
  readonly #writer: ByteWriter;
  readonly #bytesMax: number;

  constructor({ bytesMax }: { readonly bytesMax: number }) {
    this.#bytesMax = bytesMax;
    this.#writer = new ByteWriter({ bytes: Math.min(BYTES_AT_FIRST, bytesMax), bytesMax });
  }

  get bytes(): number {
    return this.#writer.length;
  }

  /** False where there is no room for it. */
  beginDevice(): boolean {
    if (this.#writer.length >= this.#bytesMax) return false;
    this.#writer.u8(DEVICE);
    return true;
  }

  /** Copies the block; false where there is no room for it. */
  add(series: SeriesId, block: EncodedBlock): boolean {
    const { figures, stamps, stampsChecksum, values, valuesChecksum } = block;
    const bytes = BLOCK_HEAD_BYTES + stamps.length + values.length;
    const writer = this.#writer;
    if (writer.length + bytes > this.#bytesMax) return false;
    writer.u8(BLOCK);
    for (const word of [series, stamps.length, stampsChecksum, values.length, valuesChecksum]) {
      writer.u32(word);
    }
    const { rows, timeFirst, timeLast, numbers, min, max, sum } = figures;
    for (const figure of [rows, timeFirst, timeLast, numbers, min, max, sum]) writer.f64(figure);
    writer.copy(stamps, stamps.length);
    writer.copy(values, values.length);
    return true;
  }

  /** Writes all of them into the section that was begun. Rejects as the disk does. */
  async writeTo(table: TableWriter, breathe: () => Promise<void>): Promise<void> {
    const reader = new ByteReader(this.#writer.slice(0, this.#writer.length));
    while (reader.left > 0) {
      if (reader.u8() === DEVICE) {
        await table.drain();
        await breathe();
        table.beginDevice();
      } else {
        table.addEncoded(seriesId(reader.u32()), readBlock(reader));
      }
    }
    await table.drain();
  }
}

/** Its bytes are views of what is read. */
function readBlock(reader: ByteReader): EncodedBlock {
  const stampsBytes = reader.u32();
  const stampsChecksum = reader.u32();
  const valuesBytes = reader.u32();
  const valuesChecksum = reader.u32();
  const figures = {
    rows: reader.f64(),
    timeFirst: reader.f64(),
    timeLast: reader.f64(),
    numbers: reader.f64(),
    min: reader.f64(),
    max: reader.f64(),
    sum: reader.f64(),
  };
  const stamps = reader.view(stampsBytes);
  const values = reader.view(valuesBytes);
  return { figures, stamps, stampsChecksum, values, valuesChecksum };
}
