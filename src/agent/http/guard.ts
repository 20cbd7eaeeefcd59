/**
 * What stands before the routes:
 *
 *   request -> Host header is ours -> token -> role -> route
 *
 * A page of another site could read by DNS rebinding: it cannot name this machine by its address, so
 * other names must be in `allowedHosts`. Where there are tokens everything needs one, but two paths:
 * the page at /, which holds nothing but its form, and /healthz, which then says no more than whether
 * the agent is well.
 */

import type { IncomingMessage } from "node:http";
import type { Clock } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { isLoopback } from "../../core/loopback.ts";
import type { SecurityEventKind } from "../ingest/mqtt/access/security-events.ts";
import { LoginFailures } from "../ingest/mqtt/access/login-failures.ts";
import { problem, type Reply } from "./reply.ts";
import { type Bearer, mayAct, type Role, roles, type TokenConfig, Tokens } from "./tokens.ts";

export type GuardOptions = {
  readonly host: string;
  readonly tokens: readonly TokenConfig[];
  /** Names in the Host header beside those of this machine. */
  readonly allowedHosts: readonly string[];
  readonly clock: Clock;
  /** Keeps for a person to see what was refused. */
  readonly note: (event: {
    readonly kind: SecurityEventKind;
    readonly address: string;
    readonly user: string | undefined;
  }) => void;
};

/** All but the first only grow. */
export type GuardCounters = {
  readonly tokens: number;
  /** Requests with a wrong token, and with none where one is needed. */
  readonly tokensWrong: number;
  readonly tokensMissing: number;
  readonly tokensExpired: number;
  /** Requests of a right token whose role does not reach. */
  readonly rolesDenied: number;
  /** Wrong tokens that were told to wait. */
  readonly tokensLimited: number;
};

export type Verdict =
  | { readonly kind: "refused"; readonly reply: Reply }
  /** `open`: nobody knows who asks, and only what is for all may be answered. */
  | { readonly kind: "admitted"; readonly open: boolean };

const openPaths: ReadonlySet<string> = new Set(["/", "/healthz"]);

export class Guard {
  readonly #options: GuardOptions;
  readonly #tokens: Tokens;
  readonly #failures: LoginFailures;
  readonly #counts = {
    tokensWrong: 0,
    tokensMissing: 0,
    tokensExpired: 0,
    rolesDenied: 0,
    tokensLimited: 0,
  };

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#tokens = new Tokens(options.tokens);
    this.#failures = new LoginFailures({ limits, monotonic: () => options.clock.monotonic() });
  }

  get counters(): GuardCounters {
    return { tokens: this.#tokens.count, ...this.#counts };
  }

  /** `path` without the query; `needed` for what it does there, undefined where any token will do. */
  check(request: IncomingMessage, path: string, needed: Role | undefined): Verdict {
    const { headers, socket } = request;
    if (!this.#isOurName(headers.host)) {
      const message = `this server is not asked by that name: use its address, or add the name to http.allowedHosts`;
      return { kind: "refused", reply: problem(421, "misdirected_request", message) };
    }
    if (this.#tokens.count === 0) return { kind: "admitted", open: false };
    const address = socket.remoteAddress ?? "?";
    const bearer = this.#tokens.bearer(headers.authorization, this.#options.clock.now());
    const isOpen = openPaths.has(path) && needed === "viewer";
    if (bearer.kind === "right") {
      if (needed === undefined || mayAct(bearer.role, needed)) {
        return { kind: "admitted", open: false };
      }
      return isOpen ? { kind: "admitted", open: true } : this.#denied(bearer, needed, address);
    }
    const refusal = this.#withoutToken(bearer, address, openPaths.has(path));
    return refusal === undefined
      ? { kind: "admitted", open: true }
      : { kind: "refused", reply: refusal };
  }

  #denied(
    { name, role }: Extract<Bearer, { kind: "right" }>,
    needed: Role,
    address: string,
  ): Verdict {
    this.#counts.rolesDenied += 1;
    this.#options.note({ kind: "token_denied", address, user: name });
    const message = `the token ${name} is of a ${role}: this takes one of ${takers(needed)}`;
    return { kind: "refused", reply: problem(403, "forbidden", message) };
  }

  #withoutToken(
    bearer: Exclude<Bearer, { kind: "right" }>,
    address: string,
    isOpen: boolean,
  ): Reply | undefined {
    if (bearer.kind === "missing") {
      if (isOpen) return undefined;
      this.#counts.tokensMissing += 1;
      return unauthorised("", "a token is needed: Authorization: Bearer TOKEN");
    }
    const user = bearer.kind === "expired" ? bearer.name : undefined;
    this.#options.note({ kind: "token_failed", address, user });
    if (bearer.kind === "expired") this.#counts.tokensExpired += 1;
    else this.#counts.tokensWrong += 1;
    const mayTry = this.#failures.admits(address, address);
    this.#failures.failed(address, address);
    if (isOpen) return undefined;
    if (mayTry) {
      const why = bearer.kind === "expired" ? `the token ${bearer.name} has expired` : undefined;
      return unauthorised(', error="invalid_token"', why ?? "the token is not known here");
    }
    this.#counts.tokensLimited += 1;
    const seconds = Math.ceil(limits.loginFailureMs / 1_000);
    const reply = problem(429, "too_many_requests", `too many wrong tokens: wait ${seconds} s`);
    return { ...reply, headers: { "Retry-After": String(seconds) } };
  }

  /** Names of this machine; the port does not matter, there may be a forwarded one. */
  #isOurName(header: string | undefined): boolean {
    if (header === undefined) return false;
    const { host, allowedHosts } = this.#options;
    const name = header
      .toLowerCase()
      .replace(/:\d{1,5}$/, "")
      .replace(/^\[(.*)\]$/, "$1");
    if (isLoopback(name) || name === host.toLowerCase() || allowedHosts.includes(name)) return true;
    // An address is nobody's to point elsewhere; who can reach this listener may name it by any.
    return !isLoopback(host) && isAddress(name);
  }
}

/** The roles that reach so far, for a person. */
function takers(needed: Role): string {
  return roles.filter((role) => mayAct(role, needed)).join(", ");
}

/** Of IPv4 or IPv6, without brackets: what no name looks like. */
function isAddress(host: string): boolean {
  return /^(\d{1,3}(\.\d{1,3}){3}|[\da-f:.]*:[\da-f:.]*)$/.test(host);
}

function unauthorised(error: string, message: string): Reply {
  const reply = problem(401, "unauthorized", message);
  return { ...reply, headers: { "WWW-Authenticate": `Bearer realm="weir"${error}` } };
}
