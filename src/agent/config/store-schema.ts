/** The schema of the `store` section; see schema.ts. */

import * as v from "valibot";
import { limits } from "../../core/limits.ts";
import { storeDefaults } from "./config.ts";
import { bytesText, durationText } from "./quantity.ts";
import {
  anyText,
  byteSize,
  choice,
  duration,
  integer,
  list,
  name,
  section,
  sectionByName,
  SECOND_MS,
  type Value,
} from "./schema-parts.ts";
import type { KeepSection, StoreClassSection, StoreSection } from "./store-section.ts";

const MEBIBYTE = 1_048_576;
const TEBIBYTE = 1_099_511_627_776;

const kept = { min: SECOND_MS, max: limits.keepMsMax };
const keptExpected = `forever, or a duration such as 12h, 30d or 365d, from ${durationText(kept.min)} to ${durationText(kept.max)}`;

const keepTime: Value<"forever" | number> = v.union(
  [v.literal("forever", keptExpected), duration("While the budget allows.", kept)],
  keptExpected,
);

const keep = (about: string): Value<KeepSection> => sectionByName(about, keepTime);

const storeClass: Value<StoreClassSection> = section(
  "Series that are kept by rules of their own.",
  {
    name: name("What the class is called where tables are listed."),
    match: anyText("Selector of its series: metric{tag=value,...}, with globs."),
    keep: v.optional(keep("As store.keep, which it takes the place of. Default: store.keep.")),
    priority: v.optional(
      integer(
        "With each step its series reach back four times as far when the budget is used up.",
        {
          min: -limits.classPriorityMax,
          max: limits.classPriorityMax,
        },
      ),
      0,
    ),
  },
);

const leastBesideLog = limits.kvBytesMin + limits.reserveBytes + limits.tablesBytesMin;

export const storeSchema: v.GenericSchema<unknown, StoreSection> = section(
  "How much is kept on disk, and how long.",
  {
    budget: v.optional(
      byteSize(
        `Log, state, reserve and tables together: limits.log and ${bytesText(leastBesideLog)} at least.`,
        { min: limits.tablesBytesMin, max: 16 * TEBIBYTE },
      ),
      bytesText(storeDefaults.budgetBytes),
    ),
    freeSpace: v.optional(
      byteSize("Space of the disk that is left to others.", { min: 0, max: TEBIBYTE }),
      bytesText(storeDefaults.freeBytes),
    ),
    outbox: v.optional(
      byteSize(
        "What waits for the uplinks, in the state's share of the budget, which grows with it. Default: half of that share.",
        { min: limits.outboxBytesMin, max: limits.outboxBytesMax },
      ),
    ),
    writesPerDay: v.exactOptional(
      byteSize("Cap on what a day writes to the device: near it readings wait longer.", {
        min: MEBIBYTE,
        max: 16 * TEBIBYTE,
      }),
    ),
    whenOutboxFull: v.optional(
      choice(
        "Where merging is not enough: drop the oldest and say so upstream, or take no readings any more.",
        ["drop", "wait"],
      ),
      storeDefaults.whenOutboxFull,
    ),
    tiers: v.optional(
      list(
        "Resolutions that readings are rolled up to, each a multiple of the one before.",
        duration("Length of a row, in UTC.", { min: limits.tierMsMin, max: limits.tierMsMax }),
        { min: 0, max: limits.tiersMax },
      ),
      storeDefaults.tiers.map(durationText),
    ),
    keep: v.optional(
      keep("readings, or a tier, to how long it is kept. Default: until the budget is used up."),
      {},
    ),
    classes: v.optional(
      list(
        "Series that are kept by rules of their own; the first that takes one counts.",
        storeClass,
        {
          min: 0,
          max: limits.storeClassesMax,
        },
      ),
      [],
    ),
  },
);
