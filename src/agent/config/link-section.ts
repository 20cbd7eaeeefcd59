/** An item of `links` as the schema makes it: defaults filled in, ms and bytes. */

export type LinkSection = {
  readonly name: string;
  readonly bandwidth?: number;
  /** By lane. */
  readonly shares: Readonly<Record<string, number>>;
  readonly quota?: {
    readonly bytes: number;
    readonly per: "day" | "month";
    readonly reserve: number;
  };
  readonly windows: readonly {
    readonly from: string;
    readonly to: string;
    readonly days: readonly Weekday[];
  }[];
  readonly alerts: "always" | "windows";
  readonly timezone: string;
  readonly metered: boolean;
  /** Only where it is metered. */
  readonly minBatch?: number;
  readonly maxDelay?: number;
  readonly localAddress?: string;
  readonly failAfter: number;
  readonly retryAfter: number;
};

export const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

export type Weekday = (typeof weekdays)[number];
