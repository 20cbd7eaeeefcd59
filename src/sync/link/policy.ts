/**
 * What the configuration says of a link: the network under one or several uplinks. Without any of it
 * a link is always there and costs nothing.
 */

import type { Lane } from "../../store/outbox/lane.ts";
import type { LocalWindow } from "./schedule.ts";

export type LinkPolicy = {
  readonly name: string;
  /** Bytes per second that may be sent; undefined: as many as there are. */
  readonly bandwidth: number | undefined;
  /** Parts of the bandwidth, by lane: what a lane may have although others before it wait. */
  readonly shares: Readonly<Partial<Record<Lane, number>>>;
  readonly quota: QuotaPolicy | undefined;
  /** When it may be used; empty: at any time. */
  readonly windows: readonly LocalWindow[];
  /** Whether alerts may use it outside of the windows. */
  readonly alerts: "always" | "windows";
  /** Of days, months and windows: an IANA name. */
  readonly timezone: string;
  /** Where a connection costs: what waits until it is worth one; undefined: it costs nothing. */
  readonly metered: { readonly minBatchBytes: number; readonly maxDelayMs: number } | undefined;
  /** The address of this machine to connect from. */
  readonly localAddress: string | undefined;
  /** Deliveries that fail for so long make the next link the one in use. */
  readonly failMs: number;
  /** So long after that it is tried again. */
  readonly retryMs: number;
};

export type QuotaPolicy = {
  /** Sent and received, in a day or month. */
  readonly bytes: number;
  readonly per: "day" | "month";
  /** The last part of `bytes`, which only alerts may use. */
  readonly reserveBytes: number;
};
