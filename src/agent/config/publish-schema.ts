/** The schema of `mqtt.publish`: the agent's own topics on its embedded broker; see schema.ts. */

import * as v from "valibot";
import { limits } from "../../core/limits.ts";
import { homeAssistantDefaults, ownTopicsDefaults as defaults } from "./config.ts";
import type { HomeAssistantSection, PublishSection } from "./config-file.ts";
import { durationText } from "./quantity.ts";
import {
  anyText,
  DAY_MS,
  duration,
  few,
  flag,
  list,
  name,
  SECOND_MS,
  section,
  sectionByName,
  type Value,
} from "./schema-parts.ts";

const expected = "off, or a duration from 1s to 1d";

const plainTopic = (about: string): Value<string> => {
  const expected = "a topic of a-z, A-Z, 0-9, _, - and / (at most 64)";
  return v.pipe(
    v.string(expected),
    v.maxLength(64, expected),
    v.regex(/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/, expected),
    v.description(about),
  );
};

const unitsMax = limits.homeAssistantUnitsMax;

const homeAssistantSchema: v.GenericSchema<unknown, HomeAssistantSection> = section(
  "Home Assistant finds summaries and alerts by itself (docs/home-assistant.md); {} switches it on.",
  {
    prefix: v.optional(plainTopic("Its discovery prefix."), homeAssistantDefaults.prefix),
    birth: v.optional(
      plainTopic("The topic on which it says that it is online: its birth message."),
      homeAssistantDefaults.birth,
    ),
    pipelines: v.optional(
      list("Pipelines whose results it finds; without it those of all.", name("Its name."), few),
      [],
    ),
    units: v.optional(
      v.pipe(
        sectionByName(
          "Metric to the unit of its readings.",
          anyText("Its unit, as Home Assistant writes it: °C, kWh, bar."),
        ),
        v.maxEntries(unitsMax, `at most ${unitsMax} metrics`),
      ),
      {},
    ),
  },
);

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
    homeAssistant: v.exactOptional(homeAssistantSchema),
  },
);
