/**
 * What one configuration may delete of what another keeps. A rollback brings back the configuration and
 * not that, so that whoever signs has to say that it is meant.
 */

import { isDeepStrictEqual } from "node:util";
import type { Config, UplinkConfig } from "../config/config.ts";
import { httpName } from "../uplinks/endpoint.ts";

/** Sections that the document in force has and the next one has not: for these the local file counts again. */
export type Dropped = {
  readonly sections: ReadonlySet<string>;
  /** Of the document in force. */
  readonly version: number;
};

/**
 * What `next` does to what `inForce` keeps, each as a predicate: "changes store". Any change of `store` or
 * `limits` counts, a larger one too: which of them delete depends on what there is. Empty: nothing.
 */
export function lossesBy(inForce: Config, next: Config, dropped?: Dropped): readonly string[] {
  const gone = inForce.uplinks.filter((each) => !next.uplinks.some((other) => isSame(each, other)));
  const places = gone.map(placeOf).join(", ");
  const told = (section: string, otherwise: string): string =>
    dropped?.sections.has(section) === true
      ? `leaves out ${section}, which version ${dropped.version} set (without it the local file's counts again)`
      : otherwise;
  return [
    ...(isDeepStrictEqual(inForce.store, next.store) ? [] : [told("store", "changes store")]),
    ...(isDeepStrictEqual(boundsOf(inForce), boundsOf(next))
      ? []
      : [told("limits", "changes limits")]),
    ...(gone.length === 0 ? [] : [told("uplinks", `leaves out the uplink ${places}`)]),
  ];
}

/** The `limits` section. */
function boundsOf({
  logBytesMax,
  duplicateRing,
  seriesMax,
  devicesMax,
  keysMax,
  memory,
}: Config): readonly unknown[] {
  return [logBytesMax, duplicateRing, seriesMax, devicesMax, keysMax, memory];
}

/** It goes to the same place. A cluster that is known by one of its brokers is the same. */
function isSame(one: UplinkConfig, other: UplinkConfig): boolean {
  if (one.kind === "kafka" && other.kind === "kafka") {
    return one.brokers.some((broker) => other.brokers.includes(broker));
  }
  return one.kind === other.kind && placeOf(one) === placeOf(other);
}

function placeOf(uplink: UplinkConfig): string {
  if (uplink.kind === "file") return `files:${uplink.directory}`;
  if (uplink.kind === "http") return httpName(uplink);
  if (uplink.kind === "kafka") return `kafka:${uplink.brokers.join(",")}`;
  const { host, port } = uplink.address;
  return `mqtt:${host}:${port}`;
}
