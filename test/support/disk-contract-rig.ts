/** What the claims of disk-contract.ts share: short words for files of text, and bytes to write. */

import assert from "node:assert/strict";
import type { Disk, DiskFile } from "../../src/core/doors.ts";

export type DiskUnderTest = {
  readonly disk: Disk;
  /** Absolute, and empty at first. */
  readonly directory: string;
};

export const KiB = 1024;

export class DiskContractRig {
  readonly disk: Disk;
  readonly #directory: string;

  constructor({ disk, directory }: DiskUnderTest) {
    this.disk = disk;
    this.#directory = directory;
  }

  path(name: string): string {
    return name === "" ? this.#directory : `${this.#directory}/${name}`;
  }

  open(name: string): Promise<DiskFile> {
    return this.disk.open(this.path(name), { create: true });
  }

  /** Makes a file; where it was before, only its first bytes are replaced. */
  async put(name: string, text: string): Promise<void> {
    const file = await this.open(name);
    await file.write(bytesOf(text), 0);
    await file.close();
  }

  async text(name: string): Promise<string> {
    const file = await this.disk.open(this.path(name), { create: false });
    const text = await textOf(file);
    await file.close();
    return text;
  }

  async list(name: string): Promise<readonly string[]> {
    return (await this.disk.list(this.path(name))).toSorted();
  }
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export async function textOf(file: DiskFile): Promise<string> {
  const target = new Uint8Array(await file.size());
  assert.equal(await file.read(target, 0), target.length);
  return new TextDecoder().decode(target);
}

export async function refuses(answer: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(answer, (error) => {
    assert.ok(error instanceof Error && "code" in error);
    assert.equal(error.code, code);
    return true;
  });
}

/** Bytes that repeat in no power of two, so that a piece at a wrong place is seen. */
export function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index % 251);
}
