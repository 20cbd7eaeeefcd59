/**
 * The kinds of machine a fleet is made of. A new one is a file and a line here.
 */
import assert from "node:assert/strict";
import type { Random } from "../random.ts";
import { coldRoom } from "./cold-room.ts";
import { energyMeter } from "./energy-meter.ts";
import { hygrometer } from "./hygrometer.ts";
import type { Machine } from "./machine.ts";
import { pump } from "./pump.ts";
import { tank } from "./tank.ts";

export type MachineKind = "coldroom" | "pump" | "tank" | "meter" | "hygro";

export type Entry = {
  readonly kind: MachineKind;
  /** Share of the fleet. */
  readonly share: number;
  /** True: all metrics in one message. False: one message per metric, a bare number. */
  readonly flat: boolean;
  readonly make: (random: Random) => Machine;
};

export const catalog: readonly Entry[] = [
  { kind: "coldroom", share: 0.3, flat: true, make: coldRoom },
  { kind: "pump", share: 0.3, flat: true, make: pump },
  { kind: "tank", share: 0.15, flat: true, make: tank },
  { kind: "meter", share: 0.15, flat: false, make: energyMeter },
  { kind: "hygro", share: 0.1, flat: false, make: hygrometer },
];

/** The entry that the share `point` in [0, 1) falls on. */
export function entryAt(point: number): Entry {
  assert(point >= 0 && point < 1, "a share lies in [0, 1)");
  let rest = point;
  const entry = catalog.find(({ share }) => {
    rest -= share;
    return rest < 0;
  });
  assert(entry !== undefined, "the shares of the catalog add up to one");
  return entry;
}
