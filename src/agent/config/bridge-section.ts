/** The `mqtt` section of an uplink as the schema makes it: defaults filled in, ms and bytes. */

import type { RemoteBrokerSection } from "./remote-broker-section.ts";

export type BridgeSection = RemoteBrokerSection & {
  readonly url: string;
  readonly topics: {
    readonly summaries: string;
    readonly alerts: string;
    readonly raw: string;
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
