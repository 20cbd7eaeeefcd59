/** The `store` section as the schema makes it: defaults filled in, durations in ms, sizes in bytes. */

export type StoreSection = {
  readonly budget: number;
  readonly freeSpace: number;
  /** Absent: half of the state's share. */
  readonly outbox?: number | undefined;
  readonly writesPerDay?: number;
  readonly whenOutboxFull: "drop" | "wait";
  readonly tiers: readonly number[];
  readonly keep: KeepSection;
  readonly classes: readonly StoreClassSection[];
};

/** By `readings` or a tier as it is written there: `1m`. */
export type KeepSection = Readonly<Record<string, "forever" | number>>;

export type StoreClassSection = {
  readonly name: string;
  /** A selector. */
  readonly match: string;
  /** Absent: that of the section. */
  readonly keep?: KeepSection | undefined;
  readonly priority: number;
};
