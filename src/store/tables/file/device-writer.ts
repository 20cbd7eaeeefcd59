/**
 * The blocks of one device on their way into a table. They are gathered into groups:
 *
 *   | stamps, stamps, ... | values of a series, block after block | values of the next | ...
 *
 * Stamps that several of its series share stand once, and the blocks of a series lie together, so
 * one series over a long time is read in few pieces. A device with more than a group holds is cut
 * into several; the later ones still share the stamps of the earlier, whose bytes are remembered up
 * to a bound.
 *
 * Whether two blocks have the same stamps is asked of their encoded bytes, all of them: a checksum
 * alone would one day mix up two.
 */

import { assert } from "../../../core/assert.ts";
import { limits } from "../../../core/limits.ts";
import type { SeriesId } from "../../../core/units.ts";
import type { AppendFile } from "./append-file.ts";
import type { EncodedBlock } from "./encoded-block.ts";
import type { SectionWriter } from "./section-writer.ts";
import { DirectoryWriter } from "./table-directory.ts";

/** `at` once they are in the file. */
type SharedStamps = {
  readonly bytes: Uint8Array;
  readonly checksum: number;
  at: number | undefined;
};

type GatheredBlock = Omit<EncodedBlock, "stamps" | "stampsChecksum"> & {
  readonly stamps: SharedStamps;
};

type OpenSeries = {
  readonly directory: DirectoryWriter;
  /** Those of the group, not in the directory yet. */
  readonly gathered: GatheredBlock[];
  timeLast: number;
};

export class DeviceWriter {
  readonly #file: AppendFile;
  readonly #section: SectionWriter;
  /** In the order in which they came. */
  readonly #series = new Map<SeriesId, OpenSeries>();
  /** By checksum: what further blocks may share. */
  readonly #shared = new Map<number, SharedStamps[]>();
  #sharedBytes = 0;
  /** Those of the group: not in the file yet. */
  #newStamps: SharedStamps[] = [];
  #groupBytes = 0;

  constructor(file: AppendFile, section: SectionWriter) {
    this.#file = file;
    this.#section = section;
  }

  /** Bytes that are gathered. */
  get bytes(): number {
    return this.#groupBytes;
  }

  /** The next block of a series, none of whose rows is earlier than the one before; its bytes are copied. */
  add(series: SeriesId, block: EncodedBlock): void {
    const bytes = block.stamps.length + block.values.length;
    assert(bytes <= limits.tableBlockBytesMax, "a block is of bounded size");
    if (this.#groupBytes + bytes > limits.tableGroupBytesMax) this.#endGroup();
    const open = this.#opened(series);
    const { figures, valuesChecksum } = block;
    assert(figures.timeFirst >= open.timeLast, "blocks of a series come in order of time");
    open.timeLast = figures.timeLast;
    // Not slice(), which of a Buffer is no copy.
    const values = new Uint8Array(block.values);
    this.#groupBytes += values.length;
    open.gathered.push({ figures, values, valuesChecksum, stamps: this.#sharedOf(block) });
    this.#section.count(figures);
  }

  /** All series of the device are complete. */
  end(): void {
    this.#endGroup();
    for (const [series, { directory }] of this.#series) {
      this.#section.addSeries(series, directory.bytes());
    }
  }

  #opened(series: SeriesId): OpenSeries {
    const known = this.#series.get(series);
    if (known !== undefined) return known;
    const timeLast = Number.NEGATIVE_INFINITY;
    const open: OpenSeries = { directory: new DirectoryWriter(), gathered: [], timeLast };
    this.#series.set(series, open);
    return open;
  }

  #sharedOf({ stamps, stampsChecksum: checksum }: EncodedBlock): SharedStamps {
    const candidates = this.#shared.get(checksum) ?? [];
    const found = candidates.find(({ bytes }) => Buffer.compare(bytes, stamps) === 0);
    if (found !== undefined) return found;
    const added: SharedStamps = { bytes: new Uint8Array(stamps), checksum, at: undefined };
    candidates.push(added);
    this.#shared.set(checksum, candidates);
    this.#newStamps.push(added);
    this.#sharedBytes += stamps.length;
    this.#groupBytes += stamps.length;
    return added;
  }

  #endGroup(): void {
    for (const stamps of this.#newStamps) {
      stamps.at = this.#file.bytes;
      this.#file.append(stamps.bytes);
    }
    for (const { directory, gathered } of this.#series.values()) {
      for (const { figures, stamps, values, valuesChecksum } of gathered) {
        assert(stamps.at !== undefined, "stamps are written before what they belong to");
        directory.add({
          ...figures,
          stampsAt: stamps.at,
          stampsBytes: stamps.bytes.length,
          stampsChecksum: stamps.checksum,
          valuesAt: this.#file.bytes,
          valuesBytes: values.length,
          valuesChecksum,
        });
        this.#file.append(values);
      }
      gathered.length = 0;
    }
    this.#newStamps = [];
    this.#groupBytes = 0;
    if (this.#sharedBytes < limits.tableSharedStampsBytesMax) return;
    this.#shared.clear();
    this.#sharedBytes = 0;
  }
}
