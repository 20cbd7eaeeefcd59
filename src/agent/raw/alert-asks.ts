/**
 * Alerts that ask for raw readings: what a pipeline with `raw` wants of its alerts' devices, around the
 * moment of each. A function of the alert alone: the same alert asks for the same, under the same id.
 */

import { checksumOf } from "../../core/checksum.ts";
import type { Alert } from "../../core/record.ts";
import { configuredName } from "../../edge-ops/spec.ts";
import type { Config } from "../config/config.ts";
import type { RawAsk } from "./raw-request.ts";

/** Ids of requests that alerts made begin so. */
export const alertPrefix = "alert-";

/** What an alert asks for; `record` is the alert as it is sent. Undefined where its pipeline asks for nothing. */
export type AskOf = (alert: Alert, record: Uint8Array) => AlertAsk | undefined;

/** With the time from the alert to its end. */
export type AlertAsk = RawAsk & { readonly afterMs: number };

export function askOfAlerts({ rawAround = {} }: Pick<Config, "rawAround">): AskOf {
  const around = new Map(Object.entries(rawAround));
  return ({ pipeline, key, time }, record) => {
    const wanted = around.get(configuredName(pipeline));
    if (wanted === undefined) return undefined;
    const at = Math.trunc(time);
    const digest = checksumOf(record).toString(16);
    return {
      id: `${alertPrefix}${at}-${digest.padStart(8, "0")}`,
      select: [selectorOf(key)],
      from: at - wanted.beforeMs,
      // The reading that raised it is among them.
      to: at + wanted.afterMs + 1,
      priority: "high",
      afterMs: wanted.afterMs,
    };
  };
}

/** All series of the device, or of the devices that share the key. */
function selectorOf(key: Alert["key"]): string {
  const tags = key.filter(([name]) => name !== "metric");
  if (tags.length === 0) return "*";
  return `{${tags.map(([name, value]) => `${quoted(name)}=${quoted(value)}`).join(",")}}`;
}

function quoted(text: string): string {
  return /^[\w.-]+$/.test(text) ? text : JSON.stringify(text);
}
