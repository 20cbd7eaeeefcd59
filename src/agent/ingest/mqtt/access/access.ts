/**
 * Who comes in, and as whom: the door of the embedded broker.
 *
 *   client certificate, and no other user name --> the rights of its name
 *   user name given, users exist ---> failures left? --> password right? --> that user's rights
 *   neither -------------------------> anonymous, where that is allowed
 *
 * Invariant: `{user}` in a pattern is a name that was verified, by password or by certificate.
 */

import type { Clock, Hashing, Random } from "../../../../core/doors.ts";
import { unreachable } from "../../../../core/assert.ts";
import { Fault } from "../../../../core/faults.ts";
import { limits as defaults } from "../../../../core/limits.ts";
import { isLoopback } from "../../../../core/loopback.ts";
import {
  SecurityEvents,
  type SecurityEvent,
  type AccessEventKind,
  type FailedLoginsOf,
} from "./security-events.ts";
import { Allowance } from "./allowance.ts";
import { ClientRights } from "./client-rights.ts";
import { LoginFailures, type LoginFailuresLimits } from "./login-failures.ts";
import { compilePatterns, type Identity } from "./topic-rights.ts";
import { type ConfiguredUser, type User, Users, type UsersLimits } from "./users.ts";
import { type UsersFileDoor, type UsersWatch, watchUsers } from "./users-watch.ts";

/** Topic patterns; a list that is not there allows everything, an empty one nothing. */
export type RightsConfig = {
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
};

export type AccessConfig = {
  /** Clients without a name may connect even where there are users. */
  readonly anonymous: boolean;
  /** `*` without a password: the rights of users of the file that are not named here. */
  readonly users: readonly (ConfiguredUser & RightsConfig)[];
  /** Path; undefined where users are in the configuration only. */
  readonly usersFile?: string;
  /** By the common name of a verified client certificate; `*` for all that are not named. */
  readonly certificates?: readonly (RightsConfig & { readonly name: string })[];
  readonly anonymousRights?: RightsConfig;
};

export type AccessLimits = UsersLimits &
  LoginFailuresLimits & {
    readonly usersFileLookMs: number;
    readonly connectionsPerUserMax: number;
    /** Of all connections of a user together; undefined where nothing bounds them but each one's own. */
    readonly userMessagesPerSecondMax?: number | undefined;
    readonly userBytesPerSecondMax?: number | undefined;
    readonly securityEventsMax: number;
    readonly securityEventsShownMax: number;
    readonly securityEventGatherMs: number;
    readonly securityEventNoticeMs: number;
  };

export type AccessOptions = {
  readonly config: AccessConfig;
  readonly clock: Clock;
  readonly hashing: Hashing;
  readonly random: Random;
  /** Where the configuration names a file of users. */
  readonly usersFile?: UsersFileDoor | undefined;
  readonly limits?: Partial<AccessLimits>;
};

export type LoginRequest = {
  readonly name: string | undefined;
  readonly password: Uint8Array | undefined;
  readonly clientId: string;
  /** Topic of its will, where it has one. */
  readonly will: string | undefined;
  /** Host of the remote end. */
  readonly address: string;
  /** Common name of the verified certificate it came with. */
  readonly certificate: string | undefined;
  /** Nobody waits for the answer any more. */
  readonly isGone?: () => boolean;
};

/** As whom a client is connected. */
export type Credential = {
  /** Undefined without a password: nothing to take away. */
  readonly user: User | undefined;
  /** Verified; undefined for anonymous clients. */
  readonly name: string | undefined;
  /** Undefined: everything. */
  readonly rights: ClientRights | undefined;
};

export type Admission =
  | { readonly kind: "admitted"; readonly credential: Credential }
  /** CONNACK return codes: 3 server unavailable, 4 bad user name or password, 5 not authorised. */
  | { readonly kind: "refused"; readonly code: 3 | 4 | 5 };

/** Totals since the start, but for `users` and `loginsWaiting`, which are what there is now. */
export type AccessCounters = {
  readonly users: number;
  readonly loginsWaiting: number;
  readonly loginsFailed: number;
  readonly loginsLimited: number;
  readonly loginsBusy: number;
  readonly loginsRecalled: number;
  readonly passwordsHashed: number;
  readonly publishesDenied: number;
  readonly subscriptionsDenied: number;
  readonly willsDenied: number;
  readonly connectionsRevoked: number;
  /** Logins of names that had their number of connections. */
  readonly connectionsOverQuota: number;
};

/** For people: what needs one, and the newest of what was tried. */
export type AccessStatus = {
  /** What is wrong with the file of users. */
  readonly problem: string | undefined;
  /** Address with the most failed logins of late. */
  readonly failedLogins: FailedLoginsOf | undefined;
  /** The newest few, oldest first; the name is from before there was an audit log (remote), and stays for who reads it. */
  readonly audit: readonly SecurityEvent[];
};

export const noAccessStatus: AccessStatus = {
  problem: undefined,
  failedLogins: undefined,
  audit: [],
};

/** Where nobody listens. */
export const noAccessCounters: AccessCounters = {
  users: 0,
  loginsWaiting: 0,
  loginsFailed: 0,
  loginsLimited: 0,
  loginsBusy: 0,
  loginsRecalled: 0,
  passwordsHashed: 0,
  publishesDenied: 0,
  subscriptionsDenied: 0,
  willsDenied: 0,
  connectionsRevoked: 0,
  connectionsOverQuota: 0,
};

/** Reads the file of users, where there is one. */
export async function openAccess(options: AccessOptions): Promise<Access> {
  const access = new Access(options);
  await access.watch();
  return access;
}

/** A name that is connected. */
export type Presence = {
  connections: number;
  /** What all its connections may bring together; undefined: no bound but each one's own. */
  readonly allowance: Allowance | undefined;
};

const nobody: Presence = { connections: 0, allowance: undefined };

const counterOf = {
  login_failed: "loginsFailed",
  login_limited: "loginsLimited",
  login_busy: "loginsBusy",
  publish_denied: "publishesDenied",
  subscribe_denied: "subscriptionsDenied",
  will_denied: "willsDenied",
  user_revoked: "connectionsRevoked",
} as const satisfies Record<AccessEventKind, keyof AccessCounters>;

export class Access {
  readonly events: SecurityEvents;
  readonly #options: AccessOptions;
  readonly #limits: AccessLimits;
  readonly #users: Users;
  readonly #failures: LoginFailures;
  readonly #rightsOfUser: ReadonlyMap<string, RightsConfig>;
  readonly #rightsOfCertificate: ReadonlyMap<string, RightsConfig>;
  readonly #counts: Record<(typeof counterOf)[AccessEventKind] | "connectionsOverQuota", number> = {
    loginsFailed: 0,
    loginsLimited: 0,
    loginsBusy: 0,
    publishesDenied: 0,
    subscriptionsDenied: 0,
    willsDenied: 0,
    connectionsRevoked: 0,
    connectionsOverQuota: 0,
  };
  /** Names that are connected: how often, and what they may bring together. */
  readonly #present = new Map<string, Presence>();
  #watch: UsersWatch | undefined;
  #onRevoked: () => void = () => {};

  /** Use `openAccess`. */
  constructor(options: AccessOptions) {
    const { config, clock, hashing, random } = options;
    this.#options = options;
    this.#limits = { ...defaults, ...options.limits };
    this.#users = new Users({ configured: config.users, hashing, random, limits: this.#limits });
    this.#failures = new LoginFailures({
      limits: this.#limits,
      monotonic: () => clock.monotonic(),
    });
    this.events = new SecurityEvents({ clock, limits: this.#limits });
    this.#rightsOfUser = new Map(config.users.map((user) => [user.name, user]));
    this.#rightsOfCertificate = new Map((config.certificates ?? []).map((one) => [one.name, one]));
  }

  async watch(): Promise<void> {
    const { usersFile: file, clock } = this.#options;
    if (file === undefined) return;
    this.#watch = await watchUsers({
      file,
      clock,
      lookMs: this.#limits.usersFileLookMs,
      onUsers: (users) => {
        const gone = this.#users.replaceFileUsers(users);
        this.#failures.forget(gone);
        if (gone.size > 0) this.#onRevoked();
      },
    });
  }

  /** Clients must log in, but for anonymous ones where those are allowed. */
  get hasUsers(): boolean {
    const { config, usersFile } = this.#options;
    return config.users.some(({ name }) => name !== "*") || usersFile !== undefined;
  }

  get anonymous(): boolean {
    return this.#options.config.anonymous;
  }

  get counters(): AccessCounters {
    return {
      users: this.#users.count,
      loginsWaiting: this.#users.waiting,
      loginsRecalled: this.#users.recalled,
      passwordsHashed: this.#users.hashed,
      ...this.#counts,
    };
  }

  get status(): AccessStatus {
    return {
      problem: this.#watch?.problem,
      failedLogins: this.events.worstAddress(),
      audit: this.events.newest(this.#limits.securityEventsShownMax),
    };
  }

  /** Calls `run` when users may have lost what they came in with; ask `isCurrent` of each. */
  onRevoked(run: () => void): void {
    this.#onRevoked = run;
  }

  isCurrent({ user }: Credential): boolean {
    return user === undefined || this.#users.isCurrent(user);
  }

  /** Another connection of the name; undefined where it has enough, else `left` follows. */
  entered({ name }: Credential): Presence | undefined {
    if (name === undefined) return nobody;
    const presence = this.#presenceOf(name);
    if (presence.connections >= this.#limits.connectionsPerUserMax) {
      this.#counts.connectionsOverQuota += 1;
      return undefined;
    }
    presence.connections += 1;
    this.#present.set(name, presence);
    return presence;
  }

  left({ name }: Credential): void {
    const presence = name === undefined ? undefined : this.#present.get(name);
    if (name === undefined || presence === undefined) return;
    presence.connections -= 1;
    if (presence.connections === 0) this.#present.delete(name);
  }

  #presenceOf(name: string): Presence {
    const known = this.#present.get(name);
    if (known !== undefined) return known;
    const { userMessagesPerSecondMax, userBytesPerSecondMax } = this.#limits;
    const isBound = userMessagesPerSecondMax !== undefined || userBytesPerSecondMax !== undefined;
    const rate = {
      messagesPerSecondMax: userMessagesPerSecondMax ?? Number.MAX_SAFE_INTEGER,
      bytesPerSecondMax: userBytesPerSecondMax ?? Number.MAX_SAFE_INTEGER,
    };
    const { clock } = this.#options;
    return { connections: 0, allowance: isBound ? new Allowance(rate, clock) : undefined };
  }

  /** Counts it, and keeps it for a person to see. */
  note(kind: AccessEventKind, event: Omit<Parameters<SecurityEvents["note"]>[0], "kind">): void {
    this.#counts[counterOf[kind]] += 1;
    this.events.note({ kind, ...event });
  }

  async login(request: LoginRequest): Promise<Admission> {
    const { name, certificate } = request;
    const isOther = name !== undefined && name !== certificate;
    if (certificate !== undefined && isOther && !this.hasUsers) {
      return this.#refused("login_failed", 4, request);
    }
    if (certificate !== undefined && !isOther) {
      const rights = byName(this.#rightsOfCertificate, certificate);
      return this.#admitted({ name: certificate, rights, request });
    }
    if (name !== undefined && this.hasUsers) return await this.#loginOfUser(name, request);
    if (this.hasUsers && !this.anonymous) return this.#refused("login_failed", 5, request);
    const rights = this.#options.config.anonymousRights;
    return this.#admitted({ name: undefined, rights, request });
  }

  close(): void {
    this.#watch?.close();
  }

  async #loginOfUser(name: string, request: LoginRequest): Promise<Admission> {
    const { address, password, isGone = () => false } = request;
    const failures = this.#failures;
    const mayCheck = (): boolean => !isGone() && failures.admits(address, name);
    if (!failures.admits(address, name)) return this.#refused("login_limited", 5, request);
    const verdict = await this.#users.verify(name, password ?? new Uint8Array(), mayCheck);
    switch (verdict.kind) {
      case "right": {
        failures.succeeded(address, name);
        const rights = byName(this.#rightsOfUser, name);
        return this.#admitted({ name, user: verdict.user, rights, request });
      }
      case "wrong":
        failures.failed(address, name);
        return this.#refused("login_failed", 4, request);
      case "limited":
        if (isGone()) return { kind: "refused", code: 3 };
        return this.#refused("login_limited", 5, request);
      case "busy":
        return this.#refused("login_busy", 3, request);
      default:
        return unreachable(verdict);
    }
  }

  #refused(kind: AccessEventKind, code: 3 | 4 | 5, { address, name }: LoginRequest): Admission {
    this.note(kind, { address, user: name });
    return { kind: "refused", code };
  }

  #admitted({
    name,
    user,
    rights,
    request,
  }: {
    readonly name: string | undefined;
    readonly user?: User;
    readonly rights: RightsConfig | undefined;
    readonly request: LoginRequest;
  }): Admission {
    const { address, clientId, will } = request;
    const own = rightsOf(rights, { user: name, client: clientId });
    if (will !== undefined && own?.mayPublish(will) === false) {
      this.note("will_denied", { address, user: name, topic: will });
      return { kind: "refused", code: 5 };
    }
    return { kind: "admitted", credential: { user, name, rights: own } };
  }
}

/**
 * Refuses a listener that others can reach and anyone may use, unless that is said on purpose.
 * `certificateRequired`: only clients with a verified certificate get through.
 * Throws the Fault LISTENER_NOT_SECURED.
 */
export function assertSecured(listener: {
  readonly host: string;
  readonly anonymous: boolean;
  readonly hasUsers: boolean;
  readonly certificateRequired?: boolean;
}): void {
  const { host, anonymous, hasUsers, certificateRequired = false } = listener;
  if (anonymous || hasUsers || certificateRequired || isLoopback(host)) return;
  throw new Fault(
    "LISTENER_NOT_SECURED",
    `the MQTT listener on ${host} can be reached from other machines and has no users: ` +
      "add users to the configuration, listen on 127.0.0.1, or say `anonymous: true` on purpose",
    { facts: { host } },
  );
}

function byName(rights: ReadonlyMap<string, RightsConfig>, name: string): RightsConfig | undefined {
  return rights.get(name) ?? rights.get("*");
}

function rightsOf(config: RightsConfig | undefined, identity: Identity): ClientRights | undefined {
  const publish = compilePatterns(config?.publish, identity);
  const subscribe = compilePatterns(config?.subscribe, identity);
  if (publish === undefined && subscribe === undefined) return undefined;
  return new ClientRights({ publish, subscribe });
}
