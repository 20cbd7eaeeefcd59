/** The `kafka` section of an uplink as the schema makes it: defaults filled in, ms and bytes. */

export type KafkaSection = {
  readonly brokers: readonly string[];
  /** Where to connect to, by the address that a broker is given. */
  readonly addresses?: Readonly<Record<string, string>>;
  readonly delivery: "transactional" | "upsert";
  readonly format: "json" | "avro-confluent";
  readonly headers: "cloudevents" | "minimal";
  readonly compression: "none" | "zstd" | "lz4" | "snappy" | "gzip";
  readonly topics: {
    readonly summaries: string;
    readonly alerts: string;
    readonly raw: string;
    readonly cursor: string;
    readonly create: boolean;
    readonly partitions: number;
    readonly replication: number;
    readonly cursorPartitions: number;
  };
  /** Savepoints of the running agent, for who replaces it. */
  readonly savepoints?: { readonly topic: string; readonly every: number };
  /** Where requests for raw readings may come from. */
  readonly commands?: { readonly topic: string; readonly poll: number };
  readonly schemas?: { readonly summary: number; readonly alert: number };
  readonly registry?: { readonly url: string; readonly user?: string; readonly password?: string };
  readonly linger: number;
  readonly batch: number;
  /** Default: by batch. */
  readonly record?: number;
  readonly timeouts: {
    readonly connect: number;
    readonly request: number;
    readonly transaction: number;
  };
  readonly tls?: {
    readonly ca?: string;
    readonly certificate?: string;
    readonly key?: string;
    readonly passphrase?: string;
    readonly serverName?: string;
  };
  readonly sasl?: {
    readonly mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | "OAUTHBEARER";
    readonly user?: string;
    readonly password?: string;
    readonly tokenFile?: string;
  };
};
