/** An item of `brokers` as the schema makes it: defaults filled in, durations in ms. */

export type BrokerSection = {
  readonly name: string;
  readonly urls: readonly string[];
  readonly version: 5 | "5" | "3.1.1";
  /** Default: by the names of agent and broker. */
  readonly clientId?: string;
  readonly session: "clean" | number;
  readonly user?: string;
  readonly password?: string;
  readonly tls?: {
    readonly ca?: string;
    readonly certificate?: string;
    readonly key?: string;
    readonly serverName?: string;
  };
  readonly keepAlive: number;
  readonly answerWait: number;
  readonly qos: number;
  readonly inFlight: number;
  readonly share?: string;
  readonly canary?: number;
};
