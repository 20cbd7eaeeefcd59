/**
 * Somebody else who fills the disk: a file beside the data directory, until no byte is left. Only on a
 * small file system, which is there for it: a full one is felt by all who share it.
 */

import { statfsSync } from "node:fs";
import { open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../../core/faults.ts";
import { roughBytesText } from "../../config/quantity.ts";

/** A larger file system is not filled. */
const fillBytesMax = 4 * 1_073_741_824;
const pieceBytes = 1_048_576;
/** What is freed while it fills, a segment or a table, is taken, too. */
const pauseMs = 20;

/** Throws INPUT_INVALID where the file system is not one to fill. */
export function assertMayBeFilled(directory: string): void {
  const { blocks, bsize } = statfsSync(directory);
  const bytes = blocks * bsize;
  if (bytes <= fillBytesMax) return;
  throw new Fault(
    "INPUT_INVALID",
    `disk: full would fill the file system of ${directory}, ${roughBytesText(bytes)}, for all who use it: give --data on one of its own of at most ${roughBytesText(fillBytesMax)}, such as mount -t tmpfs -o size=256m weir /mnt/weir-sim`,
  );
}

export class FullDisk {
  readonly #directory: string;
  readonly #name: string;
  #isWanted = false;
  #filling: Promise<void> = Promise.resolve();

  constructor(directory: string) {
    this.#directory = directory;
    this.#name = join(directory, "foreign");
  }

  fill(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#filling = this.#filling.then(async () => await this.#fill());
  }

  async free(): Promise<void> {
    this.#isWanted = false;
    await this.#filling;
    await rm(this.#name, { force: true });
  }

  async #fill(): Promise<void> {
    const file = await open(this.#name, "w");
    const piece = Buffer.alloc(pieceBytes, "foreign");
    try {
      while (this.#isWanted) {
        const { bavail, bsize } = await statfs(this.#directory);
        const bytes = Math.min(pieceBytes, Math.max(bsize, bavail * bsize));
        const isFull = await file.write(piece, 0, bytes).then(
          () => false,
          () => true,
        );
        if (isFull) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    } finally {
      await file.close();
    }
  }
}
