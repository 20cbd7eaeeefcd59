/**
 * Who may log in over MQTT. Passwords are compared as SHA-256 digests in constant time; an unknown
 * name takes as long as a wrong password. Nothing here is ever logged.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import { Fault } from "../../../../core/faults.ts";
import { isLoopback } from "../../../../core/loopback.ts";

export interface Users {
  readonly count: number;
  /** Whether this is the password of this user. */
  verify(name: string, password: Uint8Array): boolean | Promise<boolean>;
}

export function createUsers(
  users: readonly { readonly name: string; readonly password: string }[],
): Users {
  const digests = new Map(users.map(({ name, password }) => [name, digestOf(password)]));
  const nobody = digestOf("");
  return {
    count: digests.size,
    verify: (name, password) => {
      const expected = digests.get(name);
      const equal = timingSafeEqual(digestOf(password), expected ?? nobody);
      return equal && expected !== undefined;
    },
  };
}

/**
 * Refuses a listener that others can reach and anyone may use, unless that is said on purpose.
 * Throws the Fault LISTENER_NOT_SECURED.
 */
export function assertSecured(listener: {
  readonly host: string;
  readonly anonymous: boolean;
  readonly users: Users;
}): void {
  const { host, anonymous, users } = listener;
  if (anonymous || users.count > 0 || isLoopback(host)) return;
  throw new Fault(
    "LISTENER_NOT_SECURED",
    `the MQTT listener on ${host} can be reached from other machines and has no users: ` +
      "add users to the configuration, listen on 127.0.0.1, or say `anonymous: true` on purpose",
    { facts: { host } },
  );
}

function digestOf(password: string | Uint8Array): Buffer {
  return createHash("sha256").update(password).digest();
}
