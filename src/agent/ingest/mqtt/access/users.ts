/**
 * Who may log in over MQTT, and whether a password is theirs.
 *
 *   name, password --HMAC by a key of this boot--> tag --remembered? plain and equal?--> right
 *                                                    \--scrypt, bounded, shared--> right or wrong
 *
 * A password that stands plain in the configuration is kept as its tag only. A hashed one costs
 * scrypt once, then its tag is remembered: a thousand clients that come back cost an HMAC each. The
 * tags mean nothing to another boot.
 *
 * An unknown name costs what a wrong password costs: the hash of a decoy, of one of the costs that
 * are in use, the same for the same name each time. Nothing here is ever logged.
 *
 * Invariants: a remembered tag counts only while its user is the same object, so a change of the
 * user's secret forgets it; a check that was under way when its user changed is wrong.
 */

import type { Hashing, Random, ScryptCost } from "../../../../core/doors.ts";
import { limits as defaults } from "../../../../core/limits.ts";
import { PasswordChecks } from "./password-checks.ts";
import {
  type PasswordHash,
  parsePasswordHash,
  passwordHashText,
  randomBytes,
} from "./password-hash.ts";
import type { FileUser } from "./users-file-text.ts";

/** A user of the configuration: with a password, plain or hashed, or none where the file has it. */
export type ConfiguredUser = {
  readonly name: string;
  readonly password?: string;
  readonly passwordHash?: string;
};

/** One user with one secret; another object once the secret is another. */
export type User = { readonly name: string };

export type Verdict =
  | { readonly kind: "right"; readonly user: User }
  | { readonly kind: "wrong" }
  /** Too many wait for their password to be hashed. */
  | { readonly kind: "busy" }
  /** `mayCheck` said no when its turn came. */
  | { readonly kind: "limited" };

type Secret =
  | { readonly kind: "plain"; readonly tag: Uint8Array }
  | { readonly kind: "hash"; readonly hash: PasswordHash };
type Known = User & { readonly secret: Secret };
type Check = { readonly verdict: Promise<Verdict>; readonly asks: (() => boolean)[] };
type Decoy = ScryptCost & { readonly bytes: number };

export type UsersLimits = {
  readonly passwordChecksMax: number;
  readonly loginsWaitingMax: number;
  readonly credentialsCachedMax: number;
};

export type UsersOptions = {
  readonly configured: readonly ConfiguredUser[];
  readonly hashing: Hashing;
  /** Asked once, and only where there are users to keep secrets of. */
  readonly random: Random;
  readonly limits?: Partial<UsersLimits>;
};

const SEPARATOR = Uint8Array.of(0);
const DECOY_SALT = new Uint8Array(16);
const encoder = new TextEncoder();

export class Users {
  readonly #hashing: Hashing;
  readonly #limits: UsersLimits;
  readonly #random: Random;
  readonly #checks: PasswordChecks;
  readonly #configured: readonly Known[];
  #bootKey: Uint8Array | undefined;
  #fileUsers = new Map<string, Known>();
  #users = new Map<string, Known>();
  #decoys: readonly Decoy[] = [];
  /** Tag to the user it was verified for, the longest unused first. */
  readonly #remembered = new Map<string, Known>();
  /** Checks that are not over, each with all who wait for it. */
  readonly #underWay = new Map<string, Check>();
  #hashed = 0;
  #recalled = 0;

  constructor({ configured, hashing, random, limits }: UsersOptions) {
    this.#hashing = hashing;
    this.#random = random;
    this.#limits = { ...defaults, ...limits };
    this.#checks = new PasswordChecks({
      runningMax: this.#limits.passwordChecksMax,
      waitingMax: this.#limits.loginsWaitingMax,
    });
    this.#configured = configured.flatMap((user) => this.#knownOf(user));
    this.#gather();
  }

  get count(): number {
    return this.#users.size;
  }
  /** Passwords hashed, those of decoys included. */
  get hashed(): number {
    return this.#hashed;
  }
  /** Logins that a remembered tag answered. */
  get recalled(): number {
    return this.#recalled;
  }
  /** Now. */
  get waiting(): number {
    return this.#checks.waiting;
  }

  /**
   * The users of the file, instead of those it had; the configuration's go before them. Gives the
   * names whose secret is gone.
   */
  replaceFileUsers(users: readonly FileUser[]): ReadonlySet<string> {
    const before = this.#fileUsers;
    this.#fileUsers = new Map(
      users.map(({ name, hash }) => {
        const known = before.get(name);
        const isSame = known?.secret.kind === "hash" && sameHash(known.secret.hash, hash);
        return [name, isSame ? known : { name, secret: { kind: "hash", hash } }];
      }),
    );
    this.#gather();
    for (const [tag, user] of this.#remembered) {
      if (!this.isCurrent(user)) this.#remembered.delete(tag);
    }
    return new Set(
      [...before.values()].flatMap((user) => (this.isCurrent(user) ? [] : [user.name])),
    );
  }

  /** Whether the user is still there with the same secret. */
  isCurrent(user: User): boolean {
    return this.#users.get(user.name) === user;
  }

  /**
   * Whether this is the password of this user. `mayCheck` is asked before hashing begins: a login may
   * have waited for a while. Of those who share a check one that may is enough.
   */
  verify(
    name: string,
    password: Uint8Array,
    mayCheck: () => boolean = () => true,
  ): Verdict | Promise<Verdict> {
    const tag = this.#tagOf(name, password);
    const user = this.#users.get(name);
    if (user?.secret.kind === "plain" && this.#hashing.isEqual(tag, user.secret.tag)) {
      return { kind: "right", user };
    }
    const key = Buffer.from(tag).toString("latin1");
    if (user !== undefined && this.#recall(key, user)) return { kind: "right", user };
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) {
      underWay.asks.push(mayCheck);
      return underWay.verdict;
    }
    const asks = [mayCheck];
    const mayAny = (): boolean => asks.some((ask) => ask());
    const verdict = this.#check({ name, password, key, user, mayCheck: mayAny });
    this.#underWay.set(key, { verdict, asks });
    return verdict.finally(() => this.#underWay.delete(key));
  }

  #recall(key: string, user: Known): boolean {
    if (this.#remembered.get(key) !== user) return false;
    this.#recalled += 1;
    this.#remembered.delete(key);
    this.#remembered.set(key, user);
    return true;
  }

  async #check(claim: {
    readonly name: string;
    readonly password: Uint8Array;
    readonly key: string;
    readonly user: Known | undefined;
    readonly mayCheck: () => boolean;
  }): Promise<Verdict> {
    const { name, password, key, user, mayCheck } = claim;
    const hash = user?.secret.kind === "hash" ? user.secret.hash : undefined;
    const decoy = hash === undefined ? this.#decoyOf(name) : { ...hash, bytes: hash.key.length };
    if (decoy === undefined) return { kind: "wrong" };
    const salt = hash?.salt ?? DECOY_SALT;
    const computed = await this.#checks.run(async () => {
      if (!mayCheck()) return "limited" as const;
      this.#hashed += 1;
      return await this.#hashing.scrypt(password, { ...decoy, salt });
    });
    if (computed === undefined) return { kind: "busy" };
    if (computed === "limited") return { kind: "limited" };
    // Compared for a decoy too, against what nothing hashes to.
    const isEqual = this.#hashing.isEqual(computed, hash?.key ?? new Uint8Array(decoy.bytes));
    const isRight = isEqual && hash !== undefined && user !== undefined && this.isCurrent(user);
    if (!isRight) return { kind: "wrong" };
    this.#remember(key, user);
    return { kind: "right", user };
  }

  #remember(key: string, user: Known): void {
    this.#remembered.delete(key);
    this.#remembered.set(key, user);
    if (this.#remembered.size <= this.#limits.credentialsCachedMax) return;
    const [oldest] = this.#remembered.keys();
    if (oldest !== undefined) this.#remembered.delete(oldest);
  }

  /** The same cost each time for the same name: repeated tries do not tell it from a user. */
  #decoyOf(name: string): Decoy | undefined {
    if (this.#decoys.length === 0) return undefined;
    const tag = this.#tagOf(name, SEPARATOR);
    return this.#decoys[(tag[0]! * 256 + tag[1]!) % this.#decoys.length];
  }

  #tagOf(name: string, password: Uint8Array): Uint8Array {
    this.#bootKey ??= randomBytes(this.#random, 32);
    return this.#hashing.mac(this.#bootKey, [encoder.encode(name), SEPARATOR, password]);
  }

  #knownOf({ name, password, passwordHash }: ConfiguredUser): Known[] {
    if (password !== undefined) {
      const tag = this.#tagOf(name, encoder.encode(password));
      return [{ name, secret: { kind: "plain", tag } }];
    }
    const hash = passwordHash === undefined ? undefined : parsePasswordHash(passwordHash);
    return hash === undefined ? [] : [{ name, secret: { kind: "hash", hash } }];
  }

  #gather(): void {
    this.#users = new Map(this.#fileUsers);
    for (const user of this.#configured) this.#users.set(user.name, user);
    this.#decoys = [...this.#users.values()].flatMap(({ secret }) =>
      secret.kind === "hash" ? [{ ...secret.hash, bytes: secret.hash.key.length }] : [],
    );
  }
}

function sameHash(one: PasswordHash, other: PasswordHash): boolean {
  return passwordHashText(one) === passwordHashText(other);
}
