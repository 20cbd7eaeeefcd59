/**
 * Certificates, keys and secrets: can the agent use them, how long are they valid, and who else may
 * read what is to be secret?
 */

import { X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { counted } from "../../../core/counted.ts";
import { isEnvironmental } from "../../../core/faults.ts";
import type { Clock, TlsConnect, TlsListen } from "../../../core/doors.ts";
import { limits } from "../../../core/limits.ts";
import type { Config } from "../../config/config.ts";
import { checkFiles } from "../checked-files.ts";
import { isoOf } from "./clock.ts";
import { advice, fault, type Finding, ok } from "./finding.ts";

export type SecretOptions = {
  readonly clock: Clock;
  readonly config: Config;
  /** What the configuration named by ${file:...}. */
  readonly substituted: readonly string[];
  /** Those among them that hold digests of tokens. */
  readonly digests: ReadonlySet<string>;
};

export async function secretFindings(options: SecretOptions): Promise<readonly Finding[]> {
  const { config, clock, substituted, digests } = options;
  const { certificates, secrets } = filesOf(config);
  const expiry: Finding[] = [];
  for (const path of certificates) expiry.push(...(await expiryFinding(path, clock.now())));
  const modes: Finding[] = [];
  for (const path of new Set([...secrets, ...substituted]))
    modes.push(...(await modeFinding(path, digests.has(path))));
  return [...expiry, ...(await usableFindings(config, expiry)), ...modes];
}

function filesOf(config: Config): {
  readonly certificates: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
} {
  const { mqtt, http, brokers, uplinks } = config;
  const certificates = new Set<string>();
  const secrets = new Set<string>();
  const take = (into: Set<string>, path: string | undefined): void => {
    if (path !== undefined) into.add(path);
  };
  const tls: readonly (TlsListen | TlsConnect | undefined)[] = [
    ...(mqtt.listeners ?? []).map((listener) => listener.tls),
    http?.tls,
    ...brokers.flatMap(({ addresses }) => addresses.map(({ connect }) => connect.tls)),
    ...uplinks.map((uplink) =>
      uplink.kind === "mqtt" || uplink.kind === "http" ? uplink.address.tls : undefined,
    ),
  ];
  for (const files of tls) {
    take(certificates, files?.certificateFile);
    take(secrets, files?.keyFile);
  }
  for (const uplink of uplinks) {
    if (uplink.kind === "http" && uplink.login?.kind === "bearerFile") {
      take(secrets, uplink.login.file);
    }
    if (uplink.kind !== "kafka") continue;
    const { tls: own, sasl } = uplink.security;
    take(certificates, own?.certificate);
    take(secrets, own?.key);
    if (sasl?.mechanism === "OAUTHBEARER") take(secrets, sasl.tokenFile);
  }
  take(secrets, mqtt.usersFile);
  return { certificates, secrets };
}

/** None where the file cannot be used: that is told by what reads it as the agent does. */
async function expiryFinding(path: string, nowMs: number): Promise<readonly Finding[]> {
  const about = { area: "certificates", place: path };
  let ends: number;
  try {
    ends = new X509Certificate(await readFile(path)).validToDate.getTime();
  } catch {
    return [];
  }
  const days = Math.floor((ends - nowMs) / 86_400_000);
  const figures = { expires: ends };
  const remedy = "renew it; a running agent reads it again by itself";
  if (ends <= nowMs) return [fault(about, `it expired on ${isoOf(ends)}`, remedy, figures)];
  const said = `it expires on ${isoOf(ends)}, in ${counted(days, "day")}`;
  if (ends - nowMs < limits.doctorCertificateMs) return [advice(about, said, remedy, figures)];
  return [ok(about, said, figures)];
}

/** What `weir check` says of the files, but for what was said already. */
async function usableFindings(
  config: Config,
  expiry: readonly Finding[],
): Promise<readonly Finding[]> {
  const about = { area: "certificates", place: "files of the configuration" };
  const { problems, warnings } = await checkFiles(config);
  const faulty = expiry.filter(({ level }) => level === "fault").map(({ place }) => place);
  const isNews = (said: string): boolean => !faulty.some((path) => said.includes(path));
  return [
    ...problems.filter(isNews).map((said) => fault(about, said, "weir check tells it as well")),
    ...warnings.filter(isNews).map((said) => advice(about, said, "weir check tells it as well")),
  ];
}

const OTHERS_READ = 0o004;
const OTHERS_WRITE = 0o002;

async function modeFinding(path: string, isDigest: boolean): Promise<readonly Finding[]> {
  const about = { area: "secrets", place: path };
  let mode: number;
  try {
    ({ mode } = await stat(path));
  } catch (error) {
    if (!isEnvironmental(error)) throw error;
    return []; // told by what reads it
  }
  const remedy = `chmod o= ${path}`;
  const octal = (mode & 0o777).toString(8).padStart(3, "0");
  if ((mode & OTHERS_WRITE) !== 0) {
    return [fault(about, `everyone on this machine may change it (mode ${octal})`, remedy)];
  }
  if ((mode & OTHERS_READ) !== 0 && isDigest) {
    const said = `everyone on this machine may read it (mode ${octal}): it is the hash of a token, which nobody guesses the token from`;
    return [advice(about, said, remedy)];
  }
  if ((mode & OTHERS_READ) !== 0) {
    return [fault(about, `everyone on this machine may read it (mode ${octal})`, remedy)];
  }
  return [ok(about, `owner and group alone may read it (mode ${octal})`)];
}
