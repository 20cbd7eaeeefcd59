/**
 * A hashed password as text, and how it is made and checked:
 *
 *   scrypt$16384$8$1$<salt, base64>$<key, base64>
 *          N     r p
 *
 * The cost is for a small ARM board: 16 MiB and 50 to 100 ms. Source: RFC 7914.
 */

import { assert } from "../../../../core/assert.ts";
import type { Hashing, Random, ScryptCost } from "../../../../core/doors.ts";
import { limits } from "../../../../core/limits.ts";

export type PasswordHash = ScryptCost & { readonly salt: Uint8Array; readonly key: Uint8Array };

/** What new passwords are hashed with. */
export const scryptCost: ScryptCost = { cost: 16_384, blockSize: 8, parallelism: 1 };

const SALT_BYTES = 16;
const KEY_BYTES = 32;
const KEY_BYTES_MAX = 128;

/** The hash that a text says; undefined where it is none, or one that would cost too much. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const match = /^scrypt\$(\d{1,8})\$(\d{1,4})\$(\d{1,4})\$([\w+/]+=*)\$([\w+/]+=*)$/.exec(text);
  if (match === null) return undefined;
  const [cost, blockSize, parallelism] = match.slice(1, 4).map(Number) as [number, number, number];
  const [salt, key] = [Buffer.from(match[4]!, "base64"), Buffer.from(match[5]!, "base64")];
  const isPowerOfTwo = cost > 1 && Number.isInteger(Math.log2(cost));
  const fits =
    blockSize > 0 &&
    parallelism > 0 &&
    parallelism <= limits.scryptParallelismMax &&
    128 * cost * blockSize <= limits.scryptBytesMax;
  const isLong = salt.length >= 8 && key.length >= 16 && key.length <= KEY_BYTES_MAX;
  return isPowerOfTwo && fits && isLong ? { cost, blockSize, parallelism, salt, key } : undefined;
}

export function passwordHashText(hash: PasswordHash): string {
  const { cost, blockSize, parallelism, salt, key } = hash;
  return ["scrypt", cost, blockSize, parallelism, base64(salt), base64(key)].join("$");
}

/** Hashes a new password with a salt of its own. */
export async function hashPassword(
  password: Uint8Array,
  {
    hashing,
    random,
    cost = scryptCost,
  }: {
    readonly hashing: Hashing;
    readonly random: Random;
    readonly cost?: ScryptCost;
  },
): Promise<PasswordHash> {
  const salt = randomBytes(random, SALT_BYTES);
  const key = await hashing.scrypt(password, { ...cost, salt, bytes: KEY_BYTES });
  return { ...cost, salt, key };
}

/** `count` bytes of chance; `count` is a multiple of four. */
export function randomBytes(random: Random, count: number): Uint8Array {
  assert(count % 4 === 0, "chance comes in words of four bytes");
  const words = Uint32Array.from({ length: count / 4 }, () => random.uint32());
  return new Uint8Array(words.buffer);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
