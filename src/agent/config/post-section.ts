/** The `http` section of an uplink as the schema makes it: defaults filled in, ms and bytes. */

import type { RemoteBrokerSection } from "./remote-broker-section.ts";

export type PostSection = {
  readonly url: string;
  /** Of every POST. */
  readonly headers: Readonly<Record<string, string>>;
  readonly token?: string;
  /** Read at each POST. */
  readonly tokenFile?: string;
  readonly user?: string;
  readonly password?: string;
  readonly tls?: NonNullable<RemoteBrokerSection["tls"]>;
  readonly format: "ndjson" | "cloudevents";
  readonly compress: "gzip" | "none";
  readonly linger: number;
  readonly batch: number;
  readonly timeouts: { readonly connect: number; readonly answer: number };
};
