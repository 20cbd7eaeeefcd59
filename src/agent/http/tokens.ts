/**
 * Who may ask the HTTP API what: bearer tokens (RFC 6750), each with a name and a role.
 *
 *   viewer < operator < admin        a viewer reads; what writes is for the others
 *   publisher < operator             posts readings, and may nothing else, not even read
 *
 * Tokens are long and random, so SHA-256 is enough to keep them: the configuration holds digests, and
 * what a client sends is compared as a digest, with all of them, in a time that tells nothing. A
 * right token is never held up by others' wrong ones; whoever sends many wrong ones is told to wait.
 */

import { createHash, timingSafeEqual } from "node:crypto";

export const roles = ["viewer", "operator", "admin", "publisher"] as const;
export type Role = (typeof roles)[number];

/** What is open to whom. */
const reach: Readonly<Record<Role, readonly Role[]>> = {
  publisher: ["publisher"],
  viewer: ["viewer"],
  operator: ["publisher", "viewer", "operator"],
  admin: roles,
};

export type TokenConfig = {
  readonly name: string;
  /** SHA-256 of the token, 64 hexadecimal digits. */
  readonly digest: string;
  readonly role: Role;
  /** Milliseconds since 1970; not valid from then on. */
  readonly expires?: number;
};

/** A token by its name; the token itself is nowhere. */
export type TokenStatus = {
  readonly name: string;
  readonly role: Role;
  readonly expires: number | undefined;
};

export type Bearer =
  /** No token was sent. */
  | { readonly kind: "missing" }
  | { readonly kind: "wrong" }
  | { readonly kind: "expired"; readonly name: string }
  | { readonly kind: "right"; readonly name: string; readonly role: Role };

/** What becomes `tokenHash` in the configuration. */
export function digestOfToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

export function mayAct(role: Role, needed: Role): boolean {
  return reach[role].includes(needed);
}

export class Tokens {
  readonly #tokens: readonly (TokenConfig & { readonly bytes: Buffer })[];

  constructor(tokens: readonly TokenConfig[]) {
    this.#tokens = tokens.map((token) => ({ ...token, bytes: Buffer.from(token.digest, "hex") }));
  }

  get count(): number {
    return this.#tokens.length;
  }

  /** `header` is that of Authorization; `now` by the wall clock, ms. */
  bearer(header: string | undefined, now: number): Bearer {
    if (header === undefined) return { kind: "missing" };
    const token = /^Bearer +([\w.~+/=-]+) *$/i.exec(header)?.[1] ?? "";
    const digest = createHash("sha256").update(token).digest();
    let found: TokenConfig | undefined;
    for (const candidate of this.#tokens) {
      if (timingSafeEqual(candidate.bytes, digest)) found = candidate;
    }
    if (found === undefined) return { kind: "wrong" };
    const { name, role, expires } = found;
    if (expires !== undefined && now >= expires) return { kind: "expired", name };
    return { kind: "right", name, role };
  }
}
