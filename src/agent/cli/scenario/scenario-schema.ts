/**
 * The schema of a scenario file: what a fleet publishes, where it ends up, and what goes wrong when. The
 * published JSON Schema is made from it; what depends on several values is in scenario-file.ts.
 */

import * as v from "valibot";
import { kafkaSchema } from "../../config/kafka-schema.ts";
import type { KafkaSection } from "../../config/kafka-section.ts";
import {
  anyText,
  byteSize,
  choice,
  DAY_MS,
  duration,
  integer,
  list,
  SECOND_MS,
  section,
  type Value,
} from "../../config/schema-parts.ts";

export type FleetSection = {
  readonly devices: number;
  readonly interval: number;
  readonly faults: "none" | "link" | "some" | "many";
  readonly qos1: number;
  readonly cbor: number;
  readonly clockless: number;
  readonly points: number;
};

export type NetworkSection =
  | "cut"
  | "hang"
  | { readonly delay: number; readonly loss: number; readonly bandwidth?: number };

/** Exactly one of at and every, and of link, devices, agent, disk and run; the checks say so. */
export type StepSection = {
  readonly at?: number;
  readonly every?: number;
  readonly from?: number;
  readonly until?: number;
  readonly jitter?: number;
  readonly for?: number;
  readonly link?: NetworkSection;
  readonly devices?: NetworkSection;
  readonly agent?: "kill" | "stop" | "hang";
  readonly disk?: "full";
  readonly run?: string;
  readonly after?: string;
};

export type ScenarioSection = {
  readonly version: 1;
  readonly seed: number;
  readonly for: number;
  readonly fleet: FleetSection;
  readonly agent?: string;
  readonly upstream: { readonly kafka?: KafkaSection };
  readonly steps: readonly StepSection[];
};

const stepsMax = 1_000;
const lossMax = 95;

const share = (about: string): Value<number> => {
  const expected = "a share from 0 to 1";
  return v.pipe(
    v.number(expected),
    v.minValue(0, expected),
    v.maxValue(1, expected),
    v.description(about),
  );
};

const percent = (about: string): Value<number> => {
  const expected = `a share such as 30%, at most ${lossMax}%`;
  return v.pipe(
    v.string(expected),
    v.regex(/^\d{1,2}(\.\d{1,6})?%$/, expected),
    v.description(about),
    v.transform((text) => Number.parseFloat(text) / 100),
    v.maxValue(lossMax / 100, expected),
  );
};

const moment = (about: string): Value<number> => duration(about, { min: 0, max: 7 * DAY_MS });

const network = (about: string): Value<NetworkSection> => {
  const expected = "cut, hang, or a section of delay, loss and bandwidth";
  return v.pipe(
    v.union(
      [
        v.picklist(["cut", "hang"], expected),
        section("What passes, and how.", {
          delay: v.optional(duration("Later, each way.", { min: 0, max: 60 * SECOND_MS }), "0ms"),
          loss: v.optional(percent("Segments that are sent again."), "0%"),
          bandwidth: v.exactOptional(
            byteSize("A second, each way; 32 kbit/s are 4kB.", { min: 100, max: 1_073_741_824 }),
          ),
        }),
      ],
      expected,
    ),
    v.description(about),
  );
};

const fleet = section("Devices that publish.", {
  devices: v.optional(integer("How many.", { min: 1, max: 5_000 }), 50),
  interval: v.optional(
    duration("From one report of a device to the next.", { min: 10, max: 3_600 * SECOND_MS }),
    "1s",
  ),
  faults: v.optional(
    choice("What is wrong with them; link: resends, disorder, broken connections.", [
      "none",
      "link",
      "some",
      "many",
    ]),
    "link",
  ),
  qos1: v.optional(share("Devices with QoS 1."), 1),
  cbor: v.optional(share("Devices that speak CBOR."), 0.2),
  clockless: v.optional(share("Devices without a clock."), 0),
  points: v.optional(share("Single values that bring their time."), 1),
});

const step = section("What happens, when, for how long.", {
  at: v.exactOptional(moment("When, from the start of the fleet.")),
  every: v.exactOptional(duration("Again and again.", { min: 100, max: DAY_MS })),
  from: v.exactOptional(moment("every: the first.")),
  until: v.exactOptional(moment("every: none later.")),
  jitter: v.exactOptional(moment("Each up to so much later, by the seed.")),
  for: v.exactOptional(moment("How long.")),
  link: v.exactOptional(network("Between the agent and its upstream.")),
  devices: v.exactOptional(network("Between the devices and the agent.")),
  agent: v.exactOptional(
    choice("kill: SIGKILL; stop: SIGTERM; hang: SIGSTOP. Goes on after `for`.", [
      "kill",
      "stop",
      "hang",
    ]),
  ),
  disk: v.exactOptional(choice("Somebody else fills the disk of the data directory.", ["full"])),
  run: v.exactOptional(anyText("A command for the shell.")),
  after: v.exactOptional(anyText("run: another one after `for`.")),
});

export const scenarioSchema: v.GenericSchema<unknown, ScenarioSection> = section(
  "A scenario for weir sim --scenario.",
  {
    version: v.literal(1, "1"),
    seed: v.optional(integer("What is left to chance.", { min: 0, max: 4_294_967_295 }), 1),
    for: duration("How long the fleet publishes.", { min: SECOND_MS, max: 7 * DAY_MS }),
    fleet: v.optional(fleet, {}),
    agent: v.exactOptional(
      anyText("A weir.yaml of which sources, pipelines, commit, store and limits are taken."),
    ),
    upstream: v.optional(
      section("Where results go; without kafka to files.", {
        kafka: v.exactOptional(kafkaSchema),
      }),
      {},
    ),
    steps: v.optional(list("What goes wrong.", step, { min: 0, max: stepsMax }), []),
  },
);
