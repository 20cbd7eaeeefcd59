/**
 * A real Kafka broker for a test: one node on loopback with its own folder, which a test can kill,
 * stop and start again on the same data and ports.
 *
 * ```ts
 * if (!requireKafka(t)) return;
 * await using kafka = await startKafka();
 * await kafka.createTopic("data", { partitions: 3 });
 * ```
 *
 * With WEIR_TEST_KAFKA=host:port, a broker started without any option is that one. It cannot be
 * stopped, and it keeps its topics, so such tests name theirs afresh; a test that kills its broker
 * says which version it wants.
 *
 * Through a proxy (proxy.ts), whose address the broker then hands to the clients that came by it:
 *
 * ```ts
 * const [port = 0] = await freePorts(1);
 * await using kafka = await startKafka({ proxied: port });
 * await using proxy = await openProxy({ port, to: kafka.behindProxy });
 * ```
 */

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as admin from "./admin.ts";
import { type Certificates, makeCertificates } from "./certificates.ts";
import type { KafkaVersion } from "./jars.ts";
import { freePorts } from "../ports.ts";
import { type ServerOptions, serverProperties } from "./server-properties.ts";
import { formatStorage, outputOf, type Server, type ServerPlace, startServer } from "./server.ts";

export type KafkaOptions = {
  /** "3.9" by default. */
  readonly version?: KafkaVersion;
  /** Adds a listener for a proxy; this is the port of the proxy. */
  readonly proxied?: number;
  /** Transactional ids and producers are forgotten after seconds, offsets after a minute. */
  readonly expiry?: "short";
  /** Adds the secured listeners, and an authorizer that lets these users do nothing yet. */
  readonly security?: { readonly users: Readonly<Record<string, string>> };
  /** Port of the plaintext listener; chosen by default. */
  readonly port?: number;
  /** A folder to keep: used on when a broker of this version left it; a temporary one by default. */
  readonly folder?: string;
};

/** Addresses "127.0.0.1:port" of the secured listeners, and the certificates that go with them. */
type SecuredAddresses = {
  /** PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER (unsecuredToken). */
  readonly saslPlaintext: string;
  /** The same over TLS. */
  readonly saslSsl: string;
  /** TLS without a client certificate: ANONYMOUS, who may do everything. */
  readonly tls: string;
  /** TLS with one: User:CN=client. */
  readonly mtls: string;
  readonly certificates: Certificates;
};

/** Where a broker of ours is and what runs there. */
type Own = {
  readonly place: ServerPlace;
  readonly isKept: boolean;
  server: Server;
  readonly behindProxy: string | undefined;
  readonly secured: SecuredAddresses | undefined;
};

/** Resolves when the broker takes requests, two to four seconds later. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaBroker> {
  const foreign = process.env["WEIR_TEST_KAFKA"];
  if (foreign !== undefined && Object.keys(options).length === 0) {
    return new KafkaBroker(foreign, undefined);
  }
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "weir-kafka-"));
  try {
    const own = await startIn(folder, options);
    return new KafkaBroker(own.place.bootstrap, own);
  } catch (error) {
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

export class KafkaBroker {
  /** "host:port"; without a login, and with every right. */
  readonly bootstrap: string;
  readonly #own: Own | undefined;

  constructor(bootstrap: string, own: Own | undefined) {
    this.bootstrap = bootstrap;
    this.#own = own;
  }

  /** Where the proxy sends what it takes. */
  get behindProxy(): string {
    const address = this.#own?.behindProxy;
    if (address === undefined) throw new Error("this broker was started without `proxied`");
    return address;
  }

  get secured(): SecuredAddresses {
    const addresses = this.#own?.secured;
    if (addresses === undefined) throw new Error("this broker was started without `security`");
    return addresses;
  }

  /** Resolves when the process that runs now is gone, for whatever reason. */
  async ended(): Promise<void> {
    await this.#ours("watched").server.ended;
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#ours("killed").server.end("SIGKILL");
  }

  /** SIGTERM; resolves when it has shut down. */
  async stop(): Promise<void> {
    await this.#ours("stopped").server.end("SIGTERM");
  }

  /** Stops it if it runs, and starts it on the same data and ports; resolves when it answers. */
  async restart(): Promise<void> {
    const own = this.#ours("restarted");
    await own.server.end("SIGTERM");
    own.server = await startServer(own.place);
  }

  /** What it printed and logged (warnings and worse). */
  log(): string {
    return this.#own === undefined ? "" : outputOf(this.#own.place.folder);
  }

  createTopic(name: string, options?: admin.TopicOptions): Promise<void> {
    return admin.createTopic(this.bootstrap, name, options);
  }

  deleteTopic(name: string): Promise<void> {
    return admin.deleteTopic(this.bootstrap, name);
  }

  /** Deletes a consumer group and its offsets, as their retention would in the end. */
  deleteGroup(group: string): Promise<void> {
    return admin.deleteGroup(this.bootstrap, group);
  }

  /** Needs `security`. */
  grant(...rights: readonly admin.Right[]): Promise<void> {
    return admin.grant(this.bootstrap, rights);
  }

  /** Takes every right of a principal away. */
  revokeAll(principal: string): Promise<void> {
    return admin.revokeAll(this.bootstrap, principal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#own === undefined) return;
    await this.#own.server.end("SIGKILL");
    if (this.#own.isKept) return;
    rmSync(this.#own.place.folder, { recursive: true, force: true });
  }

  #ours(done: string): Own {
    if (this.#own !== undefined) return this.#own;
    throw new Error(`the broker of WEIR_TEST_KAFKA cannot be ${done}; unset it for this test`);
  }
}

/** A token for OAUTHBEARER that the brokers here take: a JWT without a signature. */
export function unsecuredToken(subject: string, lifetimeSeconds = 3_600): string {
  const now = Math.floor(Date.now() / 1000);
  const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString("base64url");
  const claims = { sub: subject, iat: now, exp: now + lifetimeSeconds };
  return `${encode({ alg: "none" })}.${encode(claims)}.`;
}

async function startIn(folder: string, options: KafkaOptions): Promise<Own> {
  const { version = "3.9", proxied, security, expiry } = options;
  const ports = await freePorts(7);
  const [controllerPort = 0, proxiedPort = 0, ...rest] = ports;
  const [chosenPort = 0, ...securedPorts] = rest;
  const adminPort = options.port ?? chosenPort;
  const place = { version, folder, bootstrap: local(adminPort) };
  const secured = security === undefined ? undefined : secure(folder, securedPorts, security.users);
  const properties = serverProperties({
    logDirectory: join(folder, "data"),
    adminPort,
    controllerPort,
    proxied: proxied === undefined ? undefined : { port: proxiedPort, advertisedPort: proxied },
    secured: secured?.options,
    expiry,
  });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "server.properties"), properties);
  if (!existsSync(join(folder, "data"))) {
    const clusterId = randomBytes(16).toString("base64url").replace(/^-/, "A");
    await formatStorage(place, { clusterId, users: security?.users ?? {} });
  }
  return {
    place,
    isKept: options.folder !== undefined,
    server: await startServer(place),
    behindProxy: proxied === undefined ? undefined : local(proxiedPort),
    secured: secured?.addresses,
  };
}

function secure(
  folder: string,
  ports: readonly number[],
  users: Readonly<Record<string, string>>,
): {
  readonly options: NonNullable<ServerOptions["secured"]>;
  readonly addresses: SecuredAddresses;
} {
  const certificates = makeCertificates(folder);
  const [saslPlaintext = 0, saslSsl = 0, tls = 0, mtls = 0] = ports;
  const stores = {
    serverKeyStore: certificates.serverKeyStore,
    trustStore: certificates.authority,
  };
  return {
    options: { saslPlaintext, saslSsl, tls, mtls, ...stores, users },
    addresses: {
      saslPlaintext: local(saslPlaintext),
      saslSsl: local(saslSsl),
      tls: local(tls),
      mtls: local(mtls),
      certificates,
    },
  };
}

function local(port: number): string {
  return `127.0.0.1:${port}`;
}
