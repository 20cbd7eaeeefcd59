/**
 * A Disk door in memory that fails as disks do. Each file has a live image, what reads see, and a
 * durable one, what is left after a power cut.
 *
 *   write   changes live; its 512-byte sectors are dirty
 *   sync    dirty sectors become durable
 *   crash   each dirty sector is kept or lost, by the seed; a rename, creation or removal that the
 *           directory was not synced for is kept or lost too, in order; every open file is dead
 *   failed sync   each dirty sector is kept or lost, and none is dirty any more: the kernel forgets
 *           what it could not write, so a second sync would succeed and prove nothing
 *
 * `mount` gives the door of one process; a crash or kill leaves it dead, and what that process still
 * does asynchronously touches nothing.
 *
 * Every call first asks `fate`, which can fail it, hold it back, or cut the power during it. A write
 * during which the power is cut leaves any of its sectors.
 */

import { basename, dirname } from "node:path";
import { assert } from "../../src/core/assert.ts";
import type { Disk, DiskFile, Random } from "../../src/core/doors.ts";
import { below } from "./seeded-random.ts";

export type DiskCall = {
  readonly name: "read" | "write" | "sync" | "truncate" | "open" | "rename" | "remove" | "other";
  readonly path: string;
  /** Counts the calls of this disk, from 0. */
  readonly index: number;
};

/** What becomes of a call: an error's code, "crash", or a promise that it waits for. */
export type Fate = string | Promise<void> | undefined;

const SECTOR = 512;

type Image = {
  live: Uint8Array;
  liveSize: number;
  durable: Uint8Array;
  durableSize: number;
  readonly dirty: Set<number>;
};

type Change = { readonly from: string | undefined; readonly to: string | undefined; image: Image };

class DiskError extends Error {
  readonly code: string;
  constructor(code: string, path: string) {
    super(`${code}: ${path}`);
    this.code = code;
  }
}

export class FaultDisk {
  /** Asked at every call; set by the test. */
  fate: (call: DiskCall) => Fate = () => undefined;
  /** Whether a range of a file cannot be read; set by the test. */
  unreadable: (range: {
    readonly path: string;
    readonly from: number;
    readonly to: number;
  }) => boolean = () => false;
  /** Bytes the files may take together; writes and truncates past it fail with ENOSPC. */
  bytesMax: number = Number.POSITIVE_INFINITY;
  readonly #random: Random;
  #files = new Map<string, Image>();
  #durableFiles = new Map<string, Image>();
  readonly #directories = new Set<string>(["/"]);
  #changes: Change[] = [];
  #calls = 0;
  /** Open files belong to one power cycle. */
  #cycle = 0;
  #openFiles = 0;
  #isDown = false;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Calls so far. */
  get calls(): number {
    return this.#calls;
  }

  /** Files that are open now, of the running process. */
  get openFiles(): number {
    return this.#openFiles;
  }

  /** Whether the power is out: every call fails until `crash` has brought it back. */
  get isDown(): boolean {
    return this.#isDown;
  }

  /** A power cut and a new start: what was not synced is kept or lost, by the seed. */
  crash(): void {
    this.kill();
    const kept = below(this.#random, this.#changes.length + 1);
    for (const change of this.#changes.slice(0, kept)) applyChange(this.#durableFiles, change);
    this.#changes = [];
    this.#files = new Map(this.#durableFiles);
    for (const image of this.#files.values()) {
      this.#settle(image);
      image.live = image.durable.slice();
      image.liveSize = image.durableSize;
    }
  }

  /** A process that died: nothing is lost, open files are dead. */
  kill(): void {
    this.#isDown = false;
    this.#cycle += 1;
    this.#openFiles = 0;
  }

  /** The live bytes of a file, to look at or to damage; what is damaged is durable. */
  peek(path: string): Uint8Array {
    return this.#image(path).live.slice(0, this.#image(path).liveSize);
  }

  poke(path: string, offset: number, bytes: Uint8Array): void {
    const image = this.#image(path);
    assert(offset + bytes.length <= image.durableSize, "only what is there is damaged");
    image.live.set(bytes, offset);
    image.durable = withSize(image.durable, image.durableSize);
    image.durable.set(bytes, offset);
  }

  paths(): readonly string[] {
    return [...this.#files.keys()].toSorted();
  }

  /** The door for a process that lives until the next `crash` or `kill`. */
  mount(): Disk {
    const cycle = this.#cycle;
    const enter = async (name: DiskCall["name"], path: string): Promise<void> => {
      if (cycle !== this.#cycle) throw new DiskError("EIO", path);
      await this.#enter(name, path);
      if (cycle !== this.#cycle) throw new DiskError("EIO", path);
    };
    return {
      open: async (path, { create }) => {
        await enter("open", path);
        return this.#fileOf(path, this.#files.get(path) ?? this.#create(path, create));
      },
      list: async (directory) => {
        await enter("other", directory);
        if (!this.#directories.has(directory)) throw new DiskError("ENOENT", directory);
        const paths = [...this.#files.keys()].filter((path) => dirname(path) === directory);
        return paths.map((path) => basename(path));
      },
      makeDirectory: async (path) => {
        await enter("other", path);
        for (let at = path; !this.#directories.has(at); at = dirname(at)) this.#directories.add(at);
      },
      rename: async (from, to) => {
        await enter("rename", from);
        this.#change({ from, to, image: this.#image(from) });
      },
      remove: async (path) => {
        await enter("remove", path);
        this.#change({ from: path, to: undefined, image: this.#image(path) });
      },
      syncDirectory: async (path) => {
        await enter("sync", path);
        for (const change of this.#changes) applyChange(this.#durableFiles, change);
        this.#changes = [];
      },
      freeBytes: async (path) => {
        await enter("other", path);
        return this.bytesMax - this.#bytes();
      },
    };
  }

  #create(path: string, create: boolean): Image {
    if (!create || !this.#directories.has(dirname(path))) throw new DiskError("ENOENT", path);
    const image: Image = {
      live: new Uint8Array(0),
      liveSize: 0,
      durable: new Uint8Array(0),
      durableSize: 0,
      dirty: new Set(),
    };
    this.#change({ from: undefined, to: path, image });
    return image;
  }

  // ---- a file ----

  #fileOf(path: string, image: Image): DiskFile {
    const cycle = this.#cycle;
    let isOpen = true;
    this.#openFiles += 1;
    const enter = async (name: DiskCall["name"], during?: () => void): Promise<void> => {
      if (!isOpen || cycle !== this.#cycle) throw new DiskError("EBADF", path);
      await this.#enter(name, path, during);
      if (cycle !== this.#cycle) throw new DiskError("EIO", path);
    };
    return {
      read: async (target, offset) => {
        await enter("read");
        if (this.unreadable({ path, from: offset, to: offset + target.length })) {
          throw new DiskError("EIO", path);
        }
        const bytes = image.live.subarray(offset, Math.min(offset + target.length, image.liveSize));
        target.set(bytes);
        return bytes.length;
      },
      write: async (source, offset) => {
        const frozen = source.slice();
        await enter("write", () => this.#write(image, frozen, offset));
        const isSame = source.length === frozen.length && source.every((b, i) => b === frozen[i]);
        assert(isSame, "a buffer is left alone until its write has resolved");
        if (offset + source.length > image.liveSize)
          this.#makeRoom(path, image, offset + source.length);
        this.#write(image, source, offset);
      },
      sync: async () => {
        try {
          await enter("sync");
        } catch (error) {
          if (!this.#isDown && cycle === this.#cycle) this.#settle(image);
          throw error;
        }
        for (const sector of image.dirty) copySector(image, sector);
        image.dirty.clear();
        image.durableSize = image.liveSize;
      },
      size: async () => {
        await enter("other");
        return image.liveSize;
      },
      truncate: async (size) => {
        await enter("truncate");
        if (size > image.liveSize) this.#makeRoom(path, image, size);
        resize(image, size);
      },
      close: async () => {
        if (isOpen && cycle === this.#cycle) this.#openFiles -= 1;
        isOpen = false;
      },
    };
  }

  #write(image: Image, source: Uint8Array, offset: number): void {
    if (offset + source.length > image.liveSize) resize(image, offset + source.length);
    image.live.set(source, offset);
    const last = Math.floor((offset + source.length - 1) / SECTOR);
    for (let sector = Math.floor(offset / SECTOR); sector <= last; sector++)
      image.dirty.add(sector);
  }

  /** Each dirty sector becomes durable or is forgotten, as the seed says. */
  #settle(image: Image): void {
    for (const sector of image.dirty) if (below(this.#random, 2) === 0) copySector(image, sector);
    image.dirty.clear();
    if (below(this.#random, 2) === 0) image.durableSize = image.liveSize;
    image.durable = withSize(image.durable, image.durableSize);
  }

  #makeRoom(path: string, image: Image, size: number): void {
    if (this.#bytes() + size - image.liveSize > this.bytesMax) throw new DiskError("ENOSPC", path);
  }

  #bytes(): number {
    let bytes = 0;
    for (const image of this.#files.values()) bytes += image.liveSize;
    return bytes;
  }

  #image(path: string): Image {
    const image = this.#files.get(path);
    if (image === undefined) throw new DiskError("ENOENT", path);
    return image;
  }

  #change(change: Change): void {
    applyChange(this.#files, change);
    this.#changes.push(change);
  }

  /** `during` is what the call does to the live image if the power is cut within it. */
  async #enter(name: DiskCall["name"], path: string, during?: () => void): Promise<void> {
    if (this.#isDown) throw new DiskError("EIO", path);
    const fate = this.fate({ name, path, index: this.#calls++ });
    if (fate === undefined) return;
    if (typeof fate !== "string") return await fate;
    if (fate === "crash") {
      during?.();
      this.#isDown = true;
      throw new DiskError("EIO", path);
    }
    throw new DiskError(fate, path);
  }
}

function applyChange(files: Map<string, Image>, { from, to, image }: Change): void {
  if (from !== undefined) files.delete(from);
  if (to !== undefined) files.set(to, image);
}

function copySector(image: Image, sector: number): void {
  const from = sector * SECTOR;
  const to = Math.min(from + SECTOR, image.live.length);
  if (image.durable.length < to) image.durable = withSize(image.durable, image.live.length);
  image.durable.set(image.live.subarray(from, to), from);
}

function resize(image: Image, size: number): void {
  image.live = withSize(image.live, size);
  if (size < image.liveSize) image.live.fill(0, size);
  image.liveSize = size;
}

/** At least so long, in steps so that a growing file is not copied for each write. */
function withSize(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length >= size) return bytes;
  const grown = new Uint8Array(Math.max(size, bytes.length * 2));
  grown.set(bytes);
  return grown;
}
