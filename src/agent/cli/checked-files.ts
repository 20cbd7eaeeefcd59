/**
 * The files that a configuration names, read as the agent would read them: certificates, keys and
 * tokens of listeners, brokers and uplinks, and the file of users.
 */

import type { Clock } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { Config } from "../config/config.ts";
import { systemClock } from "../doors/clock.ts";

type CheckedFiles = {
  /** Why a listener would not open, or a connection not come about. */
  readonly problems: readonly string[];
  /** What the agent starts with all the same, and tells as a notice. */
  readonly warnings: readonly string[];
};

export async function checkFiles(config: Config): Promise<CheckedFiles> {
  const clock = systemClock();
  const checks = [
    ...listenerChecks(config, clock),
    ...connectChecks(config, clock),
    ...kafkaChecks(config, clock),
    ...tokenChecks(config),
  ];
  const problems: string[] = [];
  const warnings: (string | undefined)[] = [];
  for (const check of checks) {
    try {
      warnings.push(await check());
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      problems.push(error.message);
    }
  }
  warnings.push(await usersWarning(config, clock));
  const said = new Set(warnings.filter((warning) => warning !== undefined));
  return { problems: [...new Set(problems)], warnings: [...said] };
}

/** Gives a warning; rejects with a Fault. */
type Check = () => Promise<string | undefined>;

function listenerChecks({ mqtt, http }: Config, clock: Clock): Check[] {
  const all = [...(mqtt.listeners ?? []).map(({ tls }) => tls), http?.tls];
  return all.flatMap((tls) => {
    if (tls === undefined) return [];
    return async () => {
      const { watchListenFiles } = await import("../doors/tls-files.ts");
      const files = await watchListenFiles(tls, clock);
      files.close();
      return files.status.trouble;
    };
  });
}

function connectChecks({ brokers, uplinks }: Config, clock: Clock): Check[] {
  const addresses = [
    ...brokers.flatMap((broker) => broker.addresses.map(({ connect }) => connect)),
    ...uplinks.flatMap((uplink) =>
      uplink.kind === "mqtt" || uplink.kind === "http" ? [uplink.address] : [],
    ),
  ];
  return addresses.flatMap(({ tls }) => {
    if (tls === undefined) return [];
    return async () => {
      const { readConnectFiles } = await import("../doors/tls-files.ts");
      await readConnectFiles(tls, clock.now());
      return undefined;
    };
  });
}

function kafkaChecks({ uplinks }: Config, clock: Clock): Check[] {
  return uplinks.flatMap((uplink) => {
    if (uplink.kind !== "kafka") return [];
    return async () => {
      const { openCredentials } = await import("../doors/kafka-credentials.ts");
      await openCredentials(uplink.security, clock).read();
      return undefined;
    };
  });
}

function tokenChecks({ uplinks }: Config): Check[] {
  return uplinks.flatMap((uplink) => {
    if (uplink.kind !== "http" || uplink.login === undefined) return [];
    const { login } = uplink;
    return async () => {
      const { authorizationOf } = await import("../doors/http-client.ts");
      await authorizationOf(login);
      return undefined;
    };
  });
}

async function usersWarning({ mqtt }: Config, clock: Clock): Promise<string | undefined> {
  if (mqtt.usersFile === undefined) return undefined;
  const { systemUsersFile } = await import("../doors/users-file.ts");
  const { watchUsers } = await import("../ingest/mqtt/access/users-watch.ts");
  const file = systemUsersFile(mqtt.usersFile);
  const lookMs = limits.usersFileLookMs;
  const watch = await watchUsers({ file, clock, lookMs, onUsers: () => undefined });
  watch.close();
  return watch.problem;
}
