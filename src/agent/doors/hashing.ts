/** Work with secrets, by node:crypto: scrypt in the thread pool, the rest at once. */

import { createHmac, scrypt, timingSafeEqual } from "node:crypto";
import type { Hashing } from "../../core/doors.ts";

export const systemHashing: Hashing = {
  scrypt: (password, { salt, bytes, cost, blockSize, parallelism }) =>
    new Promise((resolve, reject) => {
      // Node's default stops at 32 MiB; what it needs beside the table is small.
      const maxmem = 128 * cost * blockSize + 128 * blockSize * (parallelism + 2) + 65_536;
      const options = { N: cost, r: blockSize, p: parallelism, maxmem };
      scrypt(password, salt, bytes, options, (error, key) => {
        if (error === null) resolve(key);
        else reject(error);
      });
    }),
  mac: (key, parts) => {
    const hmac = createHmac("sha256", key);
    for (const part of parts) hmac.update(part);
    return hmac.digest();
  },
  isEqual: (one, other) => one.length === other.length && timingSafeEqual(one, other),
};
