/** The `store` section as the schema makes it: defaults filled in, durations in ms, sizes in bytes. */

export type StoreSection = {
  readonly budget: number;
  readonly freeSpace: number;
  readonly tiers: readonly number[];
  /** By `readings` or a tier as it is written there: `1m`. */
  readonly keep: Readonly<Record<string, "forever" | number>>;
};
