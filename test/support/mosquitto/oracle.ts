/**
 * Judges the summaries of an agent behind a broker: each reading the broker still owed is counted,
 * and none twice. Which readings a window holds is told by its sum (readings.ts).
 *
 *   reading                                                     must be counted
 *   acknowledged by the agent                                   yes, whatever happened since
 *   acknowledged by the broker, which lived, or has it stored   yes
 *   acknowledged by a broker that was killed before it stored   no: `excused`, the broker's loss
 *   any                                                         at most once
 */

import assert from "node:assert/strict";
import { latestRevisions, repeatedIds, type UpstreamRecord } from "../upstream.ts";
import type { Fleet } from "./fleet.ts";
import { bitOf, keyOfMessage, windowKeyOf } from "./readings.ts";
import type { Store } from "./server.ts";
import { messagesOwed } from "./store.ts";
import type { Witness } from "./witness.ts";

/** Mosquitto takes no longer than this to write a store of some hundred messages. */
const STORE_MS_MAX = 1_000;

/** Keys of readings that a broker had acknowledged and lost itself when it ended. */
export type Excused = Set<string>;

/**
 * To be called after a SIGKILL of the broker, before its next life, when publishers and the agent
 * have lost it: adds what the broker acknowledged after it last began to write its store, which the
 * agent did not acknowledge and the store does not hold. What it had acknowledged before, it owes.
 */
export function excuseLost(
  excused: Excused,
  parts: {
    readonly fleets: readonly Fleet[];
    readonly witnesses: readonly Witness[];
    readonly store: Store;
    /** Of the agents. */
    readonly clientIds: readonly string[];
  },
): void {
  const stored = keysOwed(parts.store, parts.clientIds);
  const sinceMs = parts.store.writtenAt - STORE_MS_MAX;
  for (const fleet of parts.fleets) {
    for (const [key, at] of fleet.acknowledged) {
      const isSafe = stored.has(key) || parts.witnesses.some((w) => w.acknowledged.has(key));
      if (at >= sinceMs && !isSafe) excused.add(key);
    }
  }
}

/** Keys of the readings that the store owes to any of the clients. */
export function keysOwed(store: Store, clientIds: readonly string[]): Set<string> {
  const messages = messagesOwed(store.bytes, clientIds);
  return new Set(messages.map(({ topic, payload }) => keyOfMessage(topic, payload) ?? ""));
}

export type Verdict = {
  readonly readings: number;
  /** Readings that were excused and not counted. */
  readonly lostByBroker: number;
  /** Readings that should be counted and are not. */
  readonly missing: readonly string[];
  /** Windows whose count is not that of the readings their sum names: one is in there twice. */
  readonly doubled: readonly string[];
  /** Windows and readings that nobody sent. */
  readonly unknown: readonly string[];
  readonly repeatedIds: readonly string[];
};

/** All readings of the fleets against the records of one agent, or of several that share a load. */
export function judge(
  fleets: readonly Fleet[],
  agents: readonly (readonly UpstreamRecord[])[],
  excused: ReadonlySet<string>,
): Verdict {
  const found = new Map<string, { sum: bigint; count: number }>();
  for (const records of agents) {
    for (const summary of latestRevisions(records)) {
      const { device } = summary["key"] as { device: string };
      const window = `${device}@${String(summary["start"])}`;
      const known = found.get(window) ?? { sum: 0n, count: 0 };
      known.sum += BigInt(Number(summary["sum"]));
      known.count += Number(summary["count"]);
      found.set(window, known);
    }
  }
  const doubled = [...found]
    .filter(([, { sum, count }]) => onesOf(sum) !== count)
    .map(([window, { sum, count }]) => `${window}: count ${count}, sum ${sum.toString(2)}`);
  const missing: string[] = [];
  let lostByBroker = 0;
  for (const fleet of fleets) {
    for (const [key, reading] of fleet.sent) {
      const window = found.get(windowKeyOf(fleet.startMs, reading));
      const bit = bitOf(reading.number);
      if (window !== undefined && (window.sum & bit) !== 0n) window.sum ^= bit;
      else if (excused.has(key)) lostByBroker += 1;
      else missing.push(`${key} in ${windowKeyOf(fleet.startMs, reading)}`);
    }
  }
  return {
    readings: fleets.reduce((sum, fleet) => sum + fleet.sent.size, 0),
    lostByBroker,
    missing,
    doubled,
    unknown: [...found]
      .filter(([, { sum }]) => sum !== 0n)
      .map(([window, { sum }]) => `${window}: ${sum.toString(2)}`),
    repeatedIds: agents.flatMap((records) => repeatedIds(records)),
  };
}

/** Nothing lost, nothing double; the facts are in the failure's message. */
export function assertSound(verdict: Verdict): void {
  const { missing, doubled, unknown, repeatedIds: repeated } = verdict;
  assert.deepEqual(
    {
      missing: missing.slice(0, 20),
      doubled: doubled.slice(0, 20),
      unknown: unknown.slice(0, 20),
      repeated: repeated.slice(0, 20),
    },
    { missing: [], doubled: [], unknown: [], repeated: [] },
    `${missing.length} readings missing, ${doubled.length} windows with doubles`,
  );
}

function onesOf(bits: bigint): number {
  return bits.toString(2).replaceAll("0", "").length;
}
