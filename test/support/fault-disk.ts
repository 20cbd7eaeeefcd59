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
 *
 * A process without faults and power cuts sees what it would on a real disk (disk-contract.ts), but
 * directories cannot be renamed, and are durable at once. A file takes the sectors that were
 * written, so a hole takes nothing, and a removed file takes them until it is closed.
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
  /** The sectors of the live image that take space. */
  readonly taken: Set<number>;
};

/** An open file; it keeps its image when its name is removed or taken by another. */
type Handle = { readonly image: Image };

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
  /**
   * Bytes the files may take together. A write past it takes what fits, in whole sectors, and fails
   * with ENOSPC.
   */
  bytesMax: number = Number.POSITIVE_INFINITY;
  readonly #random: Random;
  #files = new Map<string, Image>();
  #durableFiles = new Map<string, Image>();
  readonly #directories = new Set<string>(["/"]);
  #changes: Change[] = [];
  #calls = 0;
  /** Open files belong to one power cycle. */
  #cycle = 0;
  readonly #handles = new Set<Handle>();
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
    return this.#handles.size;
  }

  /** What all files take together. A removed file takes its space until it is closed. */
  get bytesTaken(): number {
    const images = new Set(this.#files.values());
    for (const { image } of this.#handles) images.add(image);
    let bytes = 0;
    for (const image of images) bytes += takenBytes(image);
    return bytes;
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
      // What lies past the end is gone: the file grows with zeros.
      image.durable = image.durable.slice(0, image.durableSize);
      image.live = image.durable.slice();
      image.liveSize = image.durableSize;
      image.taken.clear();
      takeSectors(image.taken, 0, image.liveSize);
    }
  }

  /** A process that died: nothing is lost, open files are dead. */
  kill(): void {
    this.#isDown = false;
    this.#cycle += 1;
    this.#handles.clear();
  }

  /** The live bytes of a file, to look at or to damage; what is damaged is durable. */
  peek(path: string): Uint8Array {
    const { live, liveSize } = this.#fileAt(path);
    return live.slice(0, liveSize);
  }

  poke(path: string, offset: number, bytes: Uint8Array): void {
    const image = this.#fileAt(path);
    assert(offset + bytes.length <= image.durableSize, "only what is there is damaged");
    image.live.set(bytes, offset);
    image.durable = withSize(image.durable, image.durableSize);
    image.durable.set(bytes, offset);
  }

  paths(): readonly string[] {
    return [...this.#files.keys()].toSorted();
  }

  directories(): readonly string[] {
    return [...this.#directories].toSorted();
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
        return this.#fileOf(path, create ? this.#fileOrNew(path) : this.#fileAt(path));
      },
      list: async (directory) => {
        await enter("other", directory);
        this.#directoryAt(directory);
        return [...this.#files.keys(), ...this.#directories]
          .filter((path) => path !== "/" && dirname(path) === directory)
          .map((path) => basename(path));
      },
      makeDirectory: async (path) => {
        await enter("other", path);
        const above = this.#nearest(path);
        if (this.#files.has(above)) {
          throw new DiskError(above === path ? "EEXIST" : "ENOTDIR", path);
        }
        for (let at = path; at !== above; at = dirname(at)) {
          // It is durable at once, so a file that was here before must be durably gone.
          if (this.#changes.some(({ from, to }) => from === at || to === at)) this.#syncNames();
          this.#directories.add(at);
        }
      },
      rename: async (from, to) => {
        await enter("rename", from);
        const found = this.#at(from);
        const replaced = this.#at(to);
        if (found === undefined) throw new DiskError("ENOENT", from);
        assert(found !== "directory", "a directory is not renamed on a simulated disk");
        if (replaced === "directory") {
          throw new DiskError(from.startsWith(`${to}/`) ? "ENOTEMPTY" : "EISDIR", to);
        }
        this.#change({ from, to, image: found });
      },
      remove: async (path) => {
        await enter("remove", path);
        this.#change({ from: path, to: undefined, image: this.#fileAt(path) });
      },
      syncDirectory: async (path) => {
        await enter("sync", path);
        this.#directoryAt(path);
        this.#syncNames(path);
      },
      freeBytes: async (path) => {
        await enter("other", path);
        if (this.#at(path) === undefined) throw new DiskError("ENOENT", path);
        return this.#freeBytes();
      },
    };
  }

  // ---- paths ----

  /** What is at a path, in a directory that must be there. */
  #at(path: string): Image | "directory" | undefined {
    const above = this.#nearest(dirname(path));
    if (this.#files.has(above)) throw new DiskError("ENOTDIR", path);
    if (above !== dirname(path)) throw new DiskError("ENOENT", path);
    return this.#directories.has(path) ? "directory" : this.#files.get(path);
  }

  #fileAt(path: string): Image {
    const found = this.#at(path);
    if (found === undefined) throw new DiskError("ENOENT", path);
    if (found === "directory") throw new DiskError("EISDIR", path);
    return found;
  }

  #fileOrNew(path: string): Image {
    if (this.#at(path) !== undefined) return this.#fileAt(path);
    const image: Image = {
      live: new Uint8Array(0),
      liveSize: 0,
      durable: new Uint8Array(0),
      durableSize: 0,
      dirty: new Set(),
      taken: new Set(),
    };
    this.#change({ from: undefined, to: path, image });
    return image;
  }

  #directoryAt(path: string): void {
    const found = this.#at(path);
    if (found === undefined) throw new DiskError("ENOENT", path);
    if (found !== "directory") throw new DiskError("ENOTDIR", path);
  }

  /** The path, or what is nearest above it, that is there. */
  #nearest(path: string): string {
    let at = path;
    while (!this.#files.has(at) && !this.#directories.has(at)) at = dirname(at);
    return at;
  }

  #change(change: Change): void {
    applyChange(this.#files, change);
    this.#changes.push(change);
  }

  /** Of one directory, with all that happened before; without one, of all. */
  #syncNames(directory?: string): void {
    const isIn = (path: string | undefined): boolean =>
      path !== undefined && (directory === undefined || dirname(path) === directory);
    const last = this.#changes.findLastIndex(({ from, to }) => isIn(from) || isIn(to));
    for (const change of this.#changes.splice(0, last + 1)) {
      applyChange(this.#durableFiles, change);
    }
  }

  // ---- a file ----

  #fileOf(path: string, image: Image): DiskFile {
    const cycle = this.#cycle;
    const handle: Handle = { image };
    this.#handles.add(handle);
    const enter = async (name: DiskCall["name"], during?: () => void): Promise<void> => {
      if (!this.#handles.has(handle)) throw new DiskError("EBADF", path);
      await this.#enter(name, path, during);
      if (cycle !== this.#cycle) throw new DiskError("EIO", path);
    };
    return {
      // What is empty is done without asking the system, as on a real disk.
      read: async (target, offset) => {
        if (target.length === 0) return 0;
        await enter("read");
        if (this.unreadable({ path, from: offset, to: offset + target.length })) {
          throw new DiskError("EIO", path);
        }
        const bytes = image.live.subarray(offset, Math.min(offset + target.length, image.liveSize));
        target.set(bytes);
        return bytes.length;
      },
      write: async (source, offset) => {
        if (source.length === 0) return;
        const frozen = source.slice();
        await enter("write", () => void this.#write(image, frozen, offset));
        const isSame = source.length === frozen.length && source.every((b, i) => b === frozen[i]);
        assert(isSame, "a buffer is left alone until its write has resolved");
        const written = this.#write(image, source, offset);
        if (written < source.length) throw new DiskError("ENOSPC", path);
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
        resize(image, size);
      },
      close: async () => {
        // A dead process closes what it likes.
        const wasOpen = this.#handles.delete(handle);
        if (!wasOpen && cycle === this.#cycle) throw new DiskError("EBADF", path);
      },
    };
  }

  /** Writes what fits, from the start; the bytes that did. */
  #write(image: Image, source: Uint8Array, offset: number): number {
    const fitting = source.subarray(0, this.#fittingBytes(image, source, offset));
    const end = offset + fitting.length;
    if (fitting.length === 0) return 0;
    if (end > image.liveSize) resize(image, end);
    image.live.set(fitting, offset);
    takeSectors(image.dirty, offset, end);
    takeSectors(image.taken, offset, end);
    return fitting.length;
  }

  /** How much of `source` there is space for: all of it, or whole sectors. */
  #fittingBytes(image: Image, source: Uint8Array, offset: number): number {
    if (this.bytesMax === Number.POSITIVE_INFINITY) return source.length;
    const end = offset + source.length;
    const size = Math.max(image.liveSize, end);
    let free = this.#freeBytes();
    for (let sector = Math.floor(offset / SECTOR); sector * SECTOR < end; sector++) {
      const from = sector * SECTOR;
      const to = Math.min(from + SECTOR, size);
      free -= to - (image.taken.has(sector) ? Math.min(image.liveSize, to) : from);
      if (free < 0) return Math.max(0, from - offset);
    }
    return source.length;
  }

  /** Each dirty sector becomes durable or is forgotten, as the seed says. */
  #settle(image: Image): void {
    for (const sector of image.dirty) if (below(this.#random, 2) === 0) copySector(image, sector);
    image.dirty.clear();
    if (below(this.#random, 2) === 0) image.durableSize = image.liveSize;
    image.durable = withSize(image.durable, image.durableSize);
  }

  #freeBytes(): number {
    return Math.max(0, this.bytesMax - this.bytesTaken);
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
  if (size < image.liveSize) {
    // What is cut off reads as zeros when the file grows again, after a sync and a crash too.
    image.live.fill(0, size);
    takeSectors(image.dirty, size, image.liveSize);
    for (const sector of image.taken) if (sector * SECTOR >= size) image.taken.delete(sector);
  }
  image.liveSize = size;
}

/** Adds the sectors of the bytes in [from, to). */
function takeSectors(sectors: Set<number>, from: number, to: number): void {
  for (let sector = Math.floor(from / SECTOR); sector * SECTOR < to; sector++) sectors.add(sector);
}

/** Whole sectors, but for the end of the file. */
function takenBytes({ taken, liveSize }: Image): number {
  const last = Math.floor(liveSize / SECTOR);
  return taken.size * SECTOR - (taken.has(last) ? (last + 1) * SECTOR - liveSize : 0);
}

/** At least so long, in steps so that a growing file is not copied for each write. */
function withSize(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length >= size) return bytes;
  const grown = new Uint8Array(Math.max(size, bytes.length * 2));
  grown.set(bytes);
  return grown;
}
