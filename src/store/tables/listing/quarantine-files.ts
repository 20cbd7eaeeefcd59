/**
 * The folder for files of damaged tables: they may hold what somebody can still save, so they are kept
 * as long as there is room for them. Where a new one needs it, the oldest go; a file that is larger
 * than all of the room is removed.
 *
 *   tables/table-0000000012.tbl -> tables/quarantine/table-0000000012.tbl
 *
 * Nothing is synced: a move that a crash undoes is made again when the store is opened.
 */

import { basename, join } from "node:path";
import type { Disk } from "../../../core/doors.ts";
import { isEnvironmental } from "../../../core/faults.ts";

type Kept = { readonly name: string; readonly bytes: number };

export class QuarantineFiles {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #bytesMax: number;
  /** Oldest first; undefined before the folder was looked at. */
  #kept: Kept[] | undefined;

  /** `directory`: that of the tables. */
  constructor(disk: Disk, directory: string, { bytesMax }: { readonly bytesMax: number }) {
    this.#disk = disk;
    this.#directory = join(directory, "quarantine");
    this.#bytesMax = bytesMax;
  }

  /** Of the files in it, as far as it was looked at. */
  get bytes(): number {
    return bytesOf(this.#kept ?? []);
  }

  get files(): number {
    return this.#kept?.length ?? 0;
  }

  /** Looks what is there, and removes what is too much by now. Rejects with what the disk says. */
  async open(): Promise<void> {
    const kept: Kept[] = [];
    for (const name of (await this.#names()).toSorted()) {
      kept.push({ name, bytes: await this.#sizeOf(join(this.#directory, name)) });
    }
    this.#kept = kept;
    await this.#makeRoom(this.#bytesMax);
  }

  /** Moves a file here, or removes it where it is too large. Rejects with what the disk says. */
  async take(path: string): Promise<void> {
    if (this.#kept === undefined) await this.open();
    const bytes = await this.#sizeOf(path);
    if (bytes > this.#bytesMax) return await this.#disk.remove(path);
    await this.#makeRoom(this.#bytesMax - bytes);
    await this.#disk.makeDirectory(this.#directory);
    const name = basename(path);
    await this.#disk.rename(path, join(this.#directory, name));
    this.#kept = [...(this.#kept ?? []).filter((file) => file.name !== name), { name, bytes }];
  }

  /** Removes the oldest until so many bytes are free, or none is left; gives what became free. */
  async giveWay(bytes: number): Promise<number> {
    const before = this.bytes;
    await this.#makeRoom(before - bytes);
    return before - this.bytes;
  }

  /** Removes the oldest until the others take no more than so much. */
  async #makeRoom(bytesMax: number): Promise<void> {
    const kept = this.#kept ?? [];
    while (kept.length > 0 && bytesOf(kept) > bytesMax) {
      await this.#disk.remove(join(this.#directory, kept[0]!.name));
      kept.shift();
    }
  }

  async #names(): Promise<readonly string[]> {
    try {
      return await this.#disk.list(this.#directory);
    } catch (error) {
      if (isEnvironmental(error) && error.code === "ENOENT") return [];
      throw error;
    }
  }

  async #sizeOf(path: string): Promise<number> {
    const file = await this.#disk.open(path, { create: false });
    try {
      return await file.size();
    } finally {
      await file.close();
    }
  }
}

function bytesOf(files: readonly Kept[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}
