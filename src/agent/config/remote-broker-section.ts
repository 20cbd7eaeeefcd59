/** What `brokers` and the `mqtt` section of an uplink say alike about a broker elsewhere, after the schema. */

export type RemoteBrokerSection = {
  readonly version: 5 | "5" | "3.1.1";
  /** Default: by the agent's name. */
  readonly clientId?: string;
  readonly user?: string;
  readonly password?: string;
  /** Paths of PEM files. */
  readonly tls?: {
    readonly ca?: string;
    readonly certificate?: string;
    readonly key?: string;
    readonly serverName?: string;
  };
};
