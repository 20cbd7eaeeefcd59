/** Who may what on the embedded broker: checks that depend on several values, and the effective form. */

import { resolve } from "node:path";
import type { AccessConfig, AccessLimits } from "../ingest/mqtt/access/access.ts";
import { parsePasswordHash } from "../ingest/mqtt/access/password-hash.ts";
import { patternProblem } from "../ingest/mqtt/access/topic-rights.ts";
import type { FrontLimits } from "../ingest/mqtt/front/front.ts";
import type { AccessSection, RightsSection, UserSection } from "./access-section.ts";
import type { Finding, Path } from "./fault.ts";
import { checkListeners, isReachable, type ListenSection } from "./listener-config.ts";

export type QuotasConfig = {
  readonly front: Partial<FrontLimits>;
  readonly access: Partial<AccessLimits>;
};

type WithListeners = AccessSection & ListenSection;

// ---- checks ----

export function checkAccess(mqtt: WithListeners): {
  readonly findings: readonly Finding[];
  readonly warnings: readonly Finding[];
} {
  const { users, certificates, anonymousRights } = mqtt;
  const { anonymous } = mqtt;
  const listening = checkListeners(mqtt, { hasUsers: hasUsers(mqtt), anonymous });
  const findings = [
    ...listening.findings,
    ...repeated("users", users),
    ...repeated("certificates", certificates),
    ...users.flatMap((user, index) => userFindings(user, mqtt, ["mqtt", "users", index])),
    ...users.flatMap((user, index) => rightsFindings(user, ["mqtt", "users", index])),
    ...certificates.flatMap((one, index) => rightsFindings(one, ["mqtt", "certificates", index])),
    ...rightsFindings(anonymousRights, ["mqtt", "anonymousRights"]),
    ...anonymousFindings(mqtt),
  ];
  return { findings, warnings: [...listening.warnings, ...warningsOf(mqtt)] };
}

/** Whether the configuration names anyone who has to say a password. */
function hasUsers({ users, usersFile }: AccessSection): boolean {
  return users.length > 0 || usersFile !== undefined;
}

function repeated(list: string, items: readonly { readonly name: string }[]): Finding[] {
  const noun = list === "users" ? "user" : "certificate";
  return items.flatMap(({ name }, index) => {
    const before = items.findIndex((item) => item.name === name);
    if (before === index) return [];
    const message = `this ${noun} is mqtt.${list}[${before}] already`;
    return [{ path: ["mqtt", list, index, "name"], message }];
  });
}

function userFindings(user: UserSection, { usersFile }: AccessSection, at: Path): Finding[] {
  const { name, password, passwordHash } = user;
  const isSecret = password !== undefined || passwordHash !== undefined;
  if (/\p{Cc}/u.test(name)) {
    return [{ path: [...at, "name"], message: "a user name has no control characters" }];
  }
  if (password !== undefined && passwordHash !== undefined) {
    const message = "a password and its hash; remove one of the two";
    return [{ path: [...at, "passwordHash"], message }];
  }
  if (passwordHash !== undefined && parsePasswordHash(passwordHash) === undefined) {
    const message = "is no hash that weir user hash prints: scrypt$16384$8$1$SALT$KEY";
    return [{ path: [...at, "passwordHash"], message }];
  }
  if (name === "*" && isSecret) {
    const message = "* is no user of its own: it stands for those of usersFile, without a password";
    return [{ path: [...at, "name"], message }];
  }
  if (!isSecret && usersFile === undefined) {
    const message =
      "has no password: set password or passwordHash, or usersFile, which may have it";
    return [{ path: [...at, "name"], message }];
  }
  return [];
}

function rightsFindings(rights: RightsSection, at: Path): Finding[] {
  return (["publish", "subscribe"] as const).flatMap((direction) =>
    (rights[direction] ?? []).flatMap((pattern, index) => {
      const message = patternProblem(pattern);
      return message === undefined ? [] : [{ path: [...at, direction, index], message }];
    }),
  );
}

function anonymousFindings(mqtt: WithListeners): Finding[] {
  const { anonymous, listeners } = mqtt;
  const takesCertificates = listeners.some(({ tls }) => tls?.clientCa !== undefined);
  if (!hasUsers(mqtt) && anonymous === false && !takesCertificates) {
    const message = "without users and without anonymous clients nobody can connect";
    return [{ path: ["mqtt", "anonymous"], message }];
  }
  return [];
}

function warningsOf(mqtt: WithListeners): Finding[] {
  const { anonymous, anonymousRights } = mqtt;
  const { publish, subscribe } = anonymousRights;
  const isBound = publish !== undefined || subscribe !== undefined;
  if (anonymous === true && isReachable(mqtt) && !isBound) {
    const message =
      "anyone on the network may publish and read everything: anonymousRights can say less";
    return [{ path: ["mqtt", "anonymous"], message }];
  }
  if (isBound && !(anonymous ?? !hasUsers(mqtt))) {
    const message = "rights of clients that may not connect: anonymous is false";
    return [{ path: ["mqtt", "anonymousRights"], message }];
  }
  return [];
}

// ---- the effective form ----

export function accessConfig(mqtt: WithListeners, directory: string): AccessConfig {
  const { anonymous, users, usersFile, certificates, anonymousRights } = mqtt;
  return {
    anonymous: anonymous ?? (!hasUsers(mqtt) && !isReachable(mqtt)),
    users,
    ...(usersFile === undefined ? {} : { usersFile: resolve(directory, usersFile) }),
    certificates,
    anonymousRights,
  };
}

export function quotasConfig({ quotas }: AccessSection): QuotasConfig {
  const { user } = quotas;
  return {
    front: {
      messagesPerSecondMax: quotas.messagesPerSecond,
      bytesPerSecondMax: quotas.bytesPerSecond,
      inFlightPerConnectionMax: quotas.inFlight,
      packetBytesMax: quotas.packet,
      subscriptionsPerClientMax: quotas.subscriptions,
      connectionsPerAddressMax: quotas.connectionsPerAddress,
      connectsPerSecondMax: quotas.connectsPerSecond,
    },
    access: {
      connectionsPerUserMax: user.connections,
      userMessagesPerSecondMax: user.messagesPerSecond,
      userBytesPerSecondMax: user.bytesPerSecond,
    },
  };
}
