/** The `mqtt` section of an uplink as the schema makes it: defaults filled in, ms and bytes. */

export type BridgeSection = {
  readonly url: string;
  readonly version: 5 | "5" | "3.1.1";
  /** Default: by the agent's name. */
  readonly clientId?: string;
  readonly user?: string;
  readonly password?: string;
  readonly tls?: {
    readonly ca?: string;
    readonly certificate?: string;
    readonly key?: string;
    readonly serverName?: string;
  };
  readonly topics: {
    readonly summaries: string;
    readonly alerts: string;
    readonly status: string;
  };
  readonly retain: boolean;
  readonly attributes: "cloudevents" | "minimal";
  readonly status: "off" | number;
  readonly linger: number;
  readonly batch: number;
  readonly keepAlive: number;
  readonly timeouts: { readonly connect: number; readonly answer: number };
};
