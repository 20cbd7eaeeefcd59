/** An item of `brokers` as the schema makes it: defaults filled in, durations in ms. */

import type { RemoteBrokerSection } from "./remote-broker-section.ts";

export type BrokerSection = RemoteBrokerSection & {
  readonly name: string;
  readonly urls: readonly string[];
  readonly session: "clean" | number;
  readonly keepAlive: number;
  readonly answerWait: number;
  readonly qos: number;
  readonly inFlight: number;
  readonly share?: string;
  readonly canary?: number;
};
