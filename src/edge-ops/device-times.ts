/** What an operator may ask about devices when it is restored. */

import type { DeviceId, Millis } from "../core/units.ts";

/** The devices as the accept stage left them at the end of the last frame; for `restore` only. */
export interface DeviceTimes {
  /** False until a row of the device was accepted. */
  isSeen(device: DeviceId | number): boolean;
  isIdle(device: DeviceId | number): boolean;
  watermarkOf(device: DeviceId | number): Millis;
}
