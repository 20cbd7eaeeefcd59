/** Passwords that cost next to nothing to hash, a Hashing door that counts, a file of users in memory. */

import { systemHashing } from "../../src/agent/doors/hashing.ts";
import {
  hashPassword,
  type PasswordHash,
  passwordHashText,
} from "../../src/agent/ingest/mqtt/access/password-hash.ts";
import {
  type FileUser,
  usersFileText,
} from "../../src/agent/ingest/mqtt/access/users-file-text.ts";
import type {
  UsersFileContent,
  UsersFileDoor,
} from "../../src/agent/ingest/mqtt/access/users-watch.ts";
import type { Hashing, ScryptCost } from "../../src/core/doors.ts";
import { seededRandom } from "./seeded-random.ts";

export const cheap: ScryptCost = { cost: 16, blockSize: 1, parallelism: 1 };

let salts = 0;

/** The hash of a password with a salt of its own. */
export async function cheapHash(password: string, cost: ScryptCost = cheap): Promise<PasswordHash> {
  const random = seededRandom(salts++);
  return await hashPassword(Buffer.from(password), { hashing: systemHashing, random, cost });
}

export async function cheapHashText(password: string): Promise<string> {
  return passwordHashText(await cheapHash(password));
}

type CountingHashing = Hashing & {
  /** What each hash cost, in order. */
  readonly costs: ScryptCost[];
  /** Hashes under way now, and at most so far. */
  readonly running: number;
  readonly runningMost: number;
  /** From now on hashes wait for `release`. */
  hold(): void;
  release(): void;
};

export function countingHashing(): CountingHashing {
  const costs: ScryptCost[] = [];
  let [running, most] = [0, 0];
  let gate: PromiseWithResolvers<void> | undefined;
  return {
    ...systemHashing,
    costs,
    get running() {
      return running;
    },
    get runningMost() {
      return most;
    },
    scrypt: async (password, options) => {
      const { cost, blockSize, parallelism } = options;
      costs.push({ cost, blockSize, parallelism });
      running += 1;
      most = Math.max(most, running);
      await gate?.promise;
      const key = await systemHashing.scrypt(password, options);
      running -= 1;
      return key;
    },
    hold: () => {
      gate = Promise.withResolvers();
    },
    release: () => {
      gate?.resolve();
      gate = undefined;
    },
  };
}

/** A file of users whose content a test sets. */
export class MemoryUsersFile implements UsersFileDoor {
  readonly path = "/etc/weir/users.weir";
  #content: UsersFileContent = { kind: "missing" };
  #isNew = true;

  read(): Promise<UsersFileContent> {
    const content: UsersFileContent = this.#isNew ? this.#content : { kind: "unchanged" };
    this.#isNew = false;
    return Promise.resolve(content);
  }

  set(content: UsersFileContent): void {
    this.#content = content;
    this.#isNew = true;
  }

  setUsers(users: readonly FileUser[]): void {
    this.set({ kind: "text", text: usersFileText(users) });
  }
}
