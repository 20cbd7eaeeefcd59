/**
 * What the Kafka uplink logs in with, as files hold it: certificates and keys in PEM, a token. They
 * may be replaced while the agent runs, so they are read anew for each session:
 *
 *   read        all files, checked first: to an expired certificate or a wrong key a broker answers
 *               with little more than a closed connection, so what can be told is told here
 *   isOutdated  whether the files are others than those of the last read, and can be used
 *
 * Whoever replaces a key and its certificate does so one after the other, and between the two they do
 * not fit. A session that works is not given up for files that do not: the next look decides.
 *
 * Of what was read only digests are kept. Messages name files, never what is in them.
 */

import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import type { SaslOptions, TlsOptions } from "../../sync/kafka/client/cluster-options.ts";
import {
  assertPair,
  authoritiesBytesMax,
  bytesOf,
  certificatesIn,
  digest,
  digestsOf,
  type FileSource,
  privateKeyIn,
  type ReadFile,
  refusal,
  secretBytesMax,
  untimely,
  untimelyAuthorities,
} from "./pem-files.ts";

/** How an uplink is secured. Paths are absolute; of certificate and key there are both or neither. */
export type KafkaSecurity = {
  /** PEM files. `{}` is TLS with the authorities that come with Node. */
  readonly tls:
    | undefined
    | {
        readonly ca?: string;
        readonly certificate?: string;
        readonly key?: string;
        readonly passphrase?: string;
        readonly serverName?: string;
      };
  readonly sasl:
    | undefined
    | {
        readonly mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512";
        readonly user: string;
        readonly password: string;
      }
    | { readonly mechanism: "OAUTHBEARER"; readonly tokenFile: string };
};

/** What a session begins with. */
export type Login = { readonly tls?: TlsOptions; readonly sasl?: SaslOptions };

/** For one session at a time: two that share it would not both see that files were replaced. */
export type Credentials = {
  /** Reads and checks all files. Faults: UPLINK_LOGIN_REFUSED, naming the file and what to do. */
  read(): Promise<Login>;
  /** Never rejects for the sake of a file. */
  isOutdated(): Promise<boolean>;
};

/** The credentials; no file is touched yet. `clock` says which certificates are valid. */
export function openCredentials(security: KafkaSecurity, clock: Clock): Credentials {
  const { tls, sasl } = security;
  assert(
    (tls?.certificate === undefined) === (tls?.key === undefined),
    "a client certificate comes with its key",
  );
  const sources: Source[] = [];
  if (tls?.ca !== undefined) sources.push({ ...kinds.ca, path: tls.ca });
  if (tls?.certificate !== undefined) {
    sources.push({ ...kinds.certificate, path: tls.certificate });
  }
  if (tls?.key !== undefined) sources.push({ ...kinds.key, path: tls.key });
  if (sasl?.mechanism === "OAUTHBEARER") sources.push({ ...kinds.token, path: sasl.tokenFile });
  return new FileCredentials({ security, sources, clock });
}

type Source = FileSource & { readonly kind: "ca" | "certificate" | "key" | "token" };

const code = "UPLINK_LOGIN_REFUSED";
const kinds = {
  ca: { kind: "ca", noun: "the file of authorities", bytesMax: authoritiesBytesMax, code },
  certificate: {
    kind: "certificate",
    noun: "the client certificate",
    bytesMax: secretBytesMax,
    code,
  },
  key: { kind: "key", noun: "the client key", bytesMax: secretBytesMax, code },
  token: { kind: "token", noun: "the token file", bytesMax: secretBytesMax, code },
} as const;

type Files = Readonly<Partial<Record<Source["kind"], ReadFile>>>;

class FileCredentials implements Credentials {
  readonly #security: KafkaSecurity;
  readonly #sources: readonly Source[];
  readonly #clock: Clock;
  /** Of what the last read found, by path. */
  #digests: Map<string, string> | undefined;

  constructor(parts: {
    readonly security: KafkaSecurity;
    readonly sources: readonly Source[];
    readonly clock: Clock;
  }) {
    this.#security = parts.security;
    this.#sources = parts.sources;
    this.#clock = parts.clock;
  }

  async read(): Promise<Login> {
    const files = await this.#usable();
    this.#digests = digestsOf(Object.values(files));
    const { tls } = this.#security;
    const sasl = this.#sasl(files);
    return {
      ...(tls === undefined ? {} : { tls: tlsOptions(tls, files) }),
      ...(sasl === undefined ? {} : { sasl }),
    };
  }

  async isOutdated(): Promise<boolean> {
    if (this.#digests === undefined || this.#sources.length === 0) return false;
    try {
      const found = digestsOf(Object.values(await this.#usable()));
      const inUse = this.#digests;
      return [...found].some(([path, digest]) => inUse.get(path) !== digest);
    } catch (error) {
      if (error instanceof Fault) return false;
      throw error;
    }
  }

  /** All files, which can be used together now. */
  async #usable(): Promise<Files> {
    const files: Partial<Record<Source["kind"], ReadFile>> = {};
    for (const source of this.#sources) {
      files[source.kind] = { ...source, bytes: await bytesOf(source) };
    }
    check(files, { passphrase: this.#security.tls?.passphrase, nowMs: this.#clock.now() });
    return files;
  }

  #sasl({ token: file }: Files): SaslOptions | undefined {
    const { sasl } = this.#security;
    if (sasl === undefined) return undefined;
    if (sasl.mechanism !== "OAUTHBEARER") {
      const { mechanism, user, password } = sasl;
      return { mechanism, username: user, password };
    }
    assert(file !== undefined, "a token's file is among those that were read");
    return { mechanism: "OAUTHBEARER", token: () => this.#token(file) };
  }

  /** As the file has it now: brokers may want another login during a session. */
  async #token(source: FileSource): Promise<string> {
    const bytes = await bytesOf(source);
    const token = tokenIn({ ...source, bytes });
    this.#digests?.set(source.path, digest(bytes));
    return token;
  }
}

function tlsOptions(tls: NonNullable<KafkaSecurity["tls"]>, files: Files): TlsOptions {
  const { ca, certificate, key } = files;
  const { passphrase, serverName } = tls;
  return {
    ...(ca === undefined ? {} : { ca: ca.bytes }),
    ...(certificate === undefined ? {} : { cert: certificate.bytes }),
    ...(key === undefined ? {} : { key: key.bytes }),
    ...(passphrase === undefined ? {} : { keyPassphrase: passphrase }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

// ---- what is in the files ----

type With = { readonly passphrase: string | undefined; readonly nowMs: number };

/** Faults: UPLINK_LOGIN_REFUSED where a file is not what it is for, or does not fit another. */
function check({ ca, certificate, key, token }: Files, { passphrase, nowMs }: With): void {
  if (token !== undefined) tokenIn(token);
  const none = ca === undefined ? undefined : untimelyAuthorities(ca, nowMs);
  if (none !== undefined) throw none;
  if (certificate === undefined || key === undefined) return;
  // Those of the authorities between may follow it.
  const [own] = certificatesIn(certificate);
  assert(own !== undefined, "a file of certificates has at least one");
  const locked = "set its passphrase";
  assertPair(key, privateKeyIn(key, { passphrase, locked }), certificate);
  const fault = untimely(certificate, own, nowMs);
  if (fault !== undefined) throw fault;
}

/** The token alone: anything else would change what the login says. */
function tokenIn(file: ReadFile): string {
  const token = file.bytes.toString("latin1").trim();
  if (token === "") throw refusal(file, "is empty: write a token into it");
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw refusal(file, "holds more than a token, or none: write the token alone into it");
}
