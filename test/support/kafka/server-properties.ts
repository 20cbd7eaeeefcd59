/**
 * The configuration of a one-node Kafka cluster in KRaft mode on loopback.
 *
 * Listeners, of which only the first and the controller's are always there:
 *
 *   ADMIN           plaintext; ANONYMOUS, who is here a super user where there is an authorizer
 *   PROXIED         plaintext; advertises the port of a proxy in front of it: brokers hand clients
 *                   the address of the listener they came by, so they stay on the proxy
 *   SASL_PLAINTEXT  PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER (unsecured tokens)
 *   SASL_SSL        the same over TLS
 *   TLS             TLS without a client certificate
 *   MTLS            TLS with one; its subject is the principal
 */

/** Where the secured listeners are, and how they know who is who. */
type SecuredListeners = {
  readonly saslPlaintext: number;
  readonly saslSsl: number;
  readonly tls: number;
  readonly mtls: number;
  /** PEM: private key and certificate of the server; certificate of the authority. */
  readonly serverKeyStore: string;
  readonly trustStore: string;
  /** Passwords of the SASL users, by name. */
  readonly users: Readonly<Record<string, string>>;
};

export type ServerOptions = {
  readonly logDirectory: string;
  readonly adminPort: number;
  readonly controllerPort: number;
  readonly proxied: { readonly port: number; readonly advertisedPort: number } | undefined;
  readonly secured: SecuredListeners | undefined;
  readonly expiry: "short" | undefined;
};

/**
 * What the broker forgets after days by default, it forgets after seconds. Offsets cannot be made
 * to go sooner than a minute after the last commit.
 */
const shortExpiry: Readonly<Record<string, string>> = {
  "transactional.id.expiration.ms": "4000",
  "transaction.remove.expired.transaction.cleanup.interval.ms": "500",
  "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
  "producer.id.expiration.ms": "4000",
  "producer.id.expiration.check.interval.ms": "500",
  "offsets.retention.minutes": "1",
  "offsets.retention.check.interval.ms": "500",
};

const small: Readonly<Record<string, string>> = {
  "num.network.threads": "1",
  "num.io.threads": "2",
  "num.partitions": "3",
  "auto.create.topics.enable": "false",
  "offsets.topic.replication.factor": "1",
  "offsets.topic.num.partitions": "1",
  "transaction.state.log.replication.factor": "1",
  "transaction.state.log.min.isr": "1",
  "transaction.state.log.num.partitions": "1",
  "group.initial.rebalance.delay.ms": "0",
  // A killed broker may register again once its last session has ended; nine seconds by default.
  "broker.session.timeout.ms": "2500",
  "broker.heartbeat.interval.ms": "500",
  "log.cleaner.threads": "1",
  "log.cleaner.dedupe.buffer.size": "10485760",
};

const login = "org.apache.kafka.common.security";

/** The text of server.properties. */
export function serverProperties(options: ServerOptions): string {
  const properties = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@127.0.0.1:${options.controllerPort}`,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "ADMIN",
    "log.dirs": options.logDirectory,
    ...listeners(options),
    ...small,
    ...(options.expiry === "short" ? shortExpiry : {}),
    ...(options.secured === undefined ? {} : security(options.secured)),
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

type Listener = {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
  readonly advertisedPort?: number;
};

function listeners(options: ServerOptions): Readonly<Record<string, string>> {
  const own = ownListeners(options);
  const all = [...own, { name: "CONTROLLER", protocol: "PLAINTEXT", port: options.controllerPort }];
  const address = (name: string, port: number): string => `${name}://127.0.0.1:${port}`;
  return {
    listeners: all.map(({ name, port }) => address(name, port)).join(","),
    "advertised.listeners": own
      .map(({ name, port, advertisedPort = port }) => address(name, advertisedPort))
      .join(","),
    "listener.security.protocol.map": all.map((of) => `${of.name}:${of.protocol}`).join(","),
  };
}

function ownListeners({ adminPort, proxied, secured }: ServerOptions): readonly Listener[] {
  const own: Listener[] = [{ name: "ADMIN", protocol: "PLAINTEXT", port: adminPort }];
  if (proxied !== undefined) own.push({ name: "PROXIED", protocol: "PLAINTEXT", ...proxied });
  if (secured === undefined) return own;
  return [
    ...own,
    { name: "SASL_PLAINTEXT", protocol: "SASL_PLAINTEXT", port: secured.saslPlaintext },
    { name: "SASL_SSL", protocol: "SASL_SSL", port: secured.saslSsl },
    { name: "TLS", protocol: "SSL", port: secured.tls },
    { name: "MTLS", protocol: "SSL", port: secured.mtls },
  ];
}

function security(secured: SecuredListeners): Readonly<Record<string, string>> {
  return {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
    "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
    "ssl.keystore.type": "PEM",
    "ssl.keystore.location": secured.serverKeyStore,
    "ssl.truststore.type": "PEM",
    "ssl.truststore.location": secured.trustStore,
    "listener.name.mtls.ssl.client.auth": "required",
    ...saslLogins("sasl_plaintext", secured.users),
    ...saslLogins("sasl_ssl", secured.users),
  };
}

function saslLogins(
  listener: string,
  users: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const plainUsers = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`);
  const module = (mechanism: string, text: string): [string, string] => [
    `listener.name.${listener}.${mechanism}.sasl.jaas.config`,
    `${login}.${text};`,
  ];
  return Object.fromEntries([
    module("plain", ["plain.PlainLoginModule required", ...plainUsers].join(" ")),
    module("scram-sha-256", "scram.ScramLoginModule required"),
    module("scram-sha-512", "scram.ScramLoginModule required"),
    module(
      "oauthbearer",
      'oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker"',
    ),
  ]);
}
