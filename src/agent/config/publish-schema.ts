/** The schema of `mqtt.publish`: the agent's own topics on its embedded broker; see schema.ts. */

import * as v from "valibot";
import { ownTopicsDefaults as defaults } from "./config.ts";
import type { PublishSection } from "./config-file.ts";
import { durationText } from "./quantity.ts";
import { DAY_MS, duration, flag, SECOND_MS, section } from "./schema-parts.ts";

const expected = "off, or a duration from 1s to 1d";

export const publishSchema: v.GenericSchema<unknown, PublishSection> = section(
  "What the agent itself publishes on the embedded broker, under weir/<agent>/.",
  {
    summaries: v.optional(
      flag("Summaries, on weir/<agent>/summary/<pipeline>."),
      defaults.summaries,
    ),
    alerts: v.optional(flag("Alerts, on weir/<agent>/alert/<pipeline>."), defaults.alerts),
    status: v.optional(
      v.union(
        [
          v.literal("off", expected),
          duration("How often the retained status is renewed.", { min: SECOND_MS, max: DAY_MS }),
        ],
        expected,
      ),
      durationText(defaults.statusMs ?? 0),
    ),
  },
);
