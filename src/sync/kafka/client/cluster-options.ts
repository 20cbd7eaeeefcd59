/** How to reach a cluster and log in. Secrets arrive already read; none is ever put into a message. */

import type { Socket } from "node:net";

export type ClusterOptions = {
  /** Brokers to begin with, each "host:port", tried in this order. */
  readonly bootstrap: readonly string[];
  /**
   * Where to connect to instead, by the address that the bootstrap list or the cluster gives a broker:
   * tunnels and forwarded ports. Its certificate is still checked for the name it is given.
   */
  readonly addresses?: Readonly<Record<string, string>>;
  /** Shown in the brokers' logs and quotas. */
  readonly clientId: string;
  /** A request without an answer after this fails. */
  readonly requestTimeoutMs: number;
  /** For the connection, TLS and the login together. */
  readonly connectTimeoutMs: number;
  readonly sasl?: SaslOptions;
  readonly tls?: TlsOptions;
  /** The gateway's clock, ms since 1970, for what is said of certificates that are out of their time. */
  readonly now?: () => number;
  /** Sockets over a link; without it as the client makes them. */
  readonly sockets?: LinkedSockets;
};

/** How sockets are made whose bytes a link counts and holds back. */
export type LinkedSockets = {
  /** One for TLS to be spoken on, which begins to connect with `connect`. */
  forTls(): { readonly socket: Socket; connect(at: { host: string; port: number }): void };
  /** Calls `connect`, which makes a plain socket. */
  plain<Value>(connect: () => Value): Value;
};

export type SaslOptions =
  | {
      readonly mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512";
      readonly username: string;
      readonly password: string;
    }
  | {
      readonly mechanism: "OAUTHBEARER";
      /** Called at each login, also when a broker asks to log in again. */
      readonly token: () => Promise<string>;
      /** Key-value pairs sent beside the token, such as `logicalCluster`. */
      readonly extensions?: Readonly<Record<string, string>>;
    };

/** PEM as read from the files. `{}` is TLS with the authorities that come with Node. */
export type TlsOptions = {
  readonly ca?: Uint8Array;
  /** For brokers that want a client certificate; both or neither. */
  readonly cert?: Uint8Array;
  readonly key?: Uint8Array;
  readonly keyPassphrase?: string;
  /** The name that the certificate is for, where it is not that of the address. */
  readonly serverName?: string;
};

/** Who the cluster takes us for, as far as we know: `User:alice`. */
export function principalOf(sasl: SaslOptions | undefined): string | undefined {
  return sasl === undefined || sasl.mechanism === "OAUTHBEARER"
    ? undefined
    : `User:${sasl.username}`;
}
