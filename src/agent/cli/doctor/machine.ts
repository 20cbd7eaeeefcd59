/**
 * What Linux says of itself in /proc, /sys and /run. Whatever cannot be read is undefined: another
 * system, a container that hides it, a process of another user.
 */

import { open, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { limits } from "../../../core/limits.ts";

export class Machine {
  readonly #root: string;

  /** `root` stands for "/": tests look at a machine of their own. */
  constructor(root: string = "/") {
    this.#root = root;
  }

  /** Of a file or folder, as this process sees it. */
  pathOf(path: string): string {
    return join(this.#root, path);
  }

  /** The text of a small file, without its last line break. */
  async text(path: string): Promise<string | undefined> {
    try {
      await using file = await open(join(this.#root, path), "r");
      // Such files say that they are empty: they are read piece by piece.
      let text = "";
      const piece = Buffer.alloc(65_536);
      for (;;) {
        const { bytesRead } = await file.read(piece, 0, piece.length, null);
        text += piece.toString("latin1", 0, bytesRead);
        if (bytesRead === 0 || text.length >= limits.doctorTextBytesMax) break;
      }
      return text.replace(/\n$/, "");
    } catch {
      return undefined;
    }
  }

  /** Undefined where it is no whole number. */
  async number(path: string): Promise<number | undefined> {
    const text = (await this.text(path))?.trim();
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
  }

  /** Names in a folder; none where there is no such folder. */
  async list(path: string): Promise<readonly string[]> {
    try {
      return await readdir(join(this.#root, path));
    } catch {
      return [];
    }
  }

  /** Where a link points to. */
  async link(path: string): Promise<string | undefined> {
    try {
      return await readlink(join(this.#root, path));
    } catch {
      return undefined;
    }
  }
}
