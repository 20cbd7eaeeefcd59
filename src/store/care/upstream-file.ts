/**
 * The file of a savepoint that a running agent sends upstream: written beside the agent, read in pieces, and
 * removed. It is of no use to the next process, so it is neither synced nor kept.
 */

import type { Disk, Kv } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { FileDigest } from "./savepoint-set.ts";
import { type WholeSavepoint, writeSavepoint } from "./savepoint.ts";
import { ifThere, opened } from "./whole-files.ts";

const fileName = "upstream.sending";

/** With the SHA-256 of its bytes in hex. */
export type UpstreamSavepoint = WholeSavepoint & { readonly digest: string };

export class UpstreamFile {
  readonly #disk: Disk;
  readonly #directory: string;

  /** `directory` is made where it is missing. */
  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  /**
   * Calls `writeSavepoint` before anything is awaited: see there. `onWrite` is called before each write;
   * what it throws ends it. Faults: INPUT_INVALID where the file would be too large, DISK_FULL where it would
   * leave less than limits.savepointFreeBytesMin, those of `writeSavepoint`.
   */
  async make(
    about: { readonly kv: Kv; readonly weir: string; readonly created: number },
    onWrite: () => void,
  ): Promise<UpstreamSavepoint> {
    let room = 0;
    const fresh: Pick<Disk, "open"> = {
      open: async (...args) => {
        await this.#disk.makeDirectory(this.#directory);
        await this.remove();
        room = (await this.#disk.freeBytes(this.#directory)) - limits.savepointFreeBytesMin;
        return await this.#disk.open(...args);
      },
    };
    const digest = new FileDigest();
    const made = await writeSavepoint(fresh, this.#path, {
      ...about,
      name: "upstream",
      isBeside: true,
      onWrite: (bytes, total) => {
        onWrite();
        checkSize(total, room);
        digest.add(bytes);
      },
    });
    return { ...made, digest: digest.end() };
  }

  /** Its pieces from the one with the number `from` on; each is valid until the next. */
  async *pieces({
    bytes,
    pieceBytes,
    from,
  }: {
    /** Of the file. */
    readonly bytes: number;
    readonly pieceBytes: number;
    readonly from: number;
  }): AsyncGenerator<{ readonly piece: Uint8Array; readonly number: number }> {
    await using file = await opened(this.#disk, this.#path, false);
    const buffer = new Uint8Array(pieceBytes);
    for (let number = from; number * pieceBytes < bytes; number++) {
      const read = await file.read(buffer, number * pieceBytes);
      yield { piece: buffer.subarray(0, read), number };
    }
  }

  /** Also one that a process before this one left. Faults: as the disk does. */
  async remove(): Promise<void> {
    await ifThere(() => this.#disk.remove(this.#path));
  }

  get #path(): string {
    return `${this.#directory}/${fileName}`;
  }
}

function checkSize(bytes: number, room: number): void {
  if (bytes > limits.savepointFileBytesMax) {
    throw new Fault(
      "INPUT_INVALID",
      `the savepoint has more than the ${limits.savepointFileBytesMax} bytes that are sent: fewer keys, or a smaller duplicateRing`,
      { facts: { bytes } },
    );
  }
  if (bytes <= room) return;
  throw new Fault(
    "DISK_FULL",
    `a savepoint of ${bytes} bytes or more would leave the disk less than ${limits.savepointFreeBytesMin}: free some space, or make store.size smaller`,
    { facts: { bytes, room } },
  );
}
