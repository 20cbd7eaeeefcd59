/**
 * What a lane of the bridge, or of an uplink over HTTP, keeps in the state store: at least once, with an
 * id that stays. docs/format/records.md has the bytes.
 */

import { damaged, decodeJson, encodeJson, textOf, wholeOf } from "../store/state/stored-json.ts";
import { incidentOf } from "./incident.ts";
import type { Random } from "../core/doors.ts";
import type { Lane } from "../store/outbox/lane.ts";
import type { Range } from "../store/outbox/split.ts";
import type { Incident, Incidents } from "./uplink.ts";

export type AtLeastOnceState = {
  /** In the id of every record: one history of this lane. */
  readonly outbox: string;
  /** Number of the next record: all before it were answered, or left out. */
  readonly next: number;
  /**
   * All before this one may have been sent: stored before they are, some way ahead. Absent where an
   * older weir stored the state, which kept no account of it.
   */
  readonly until?: number;
  readonly incidents: Incidents;
};

const version = 1;

export function encodeAtLeastOnceState(state: AtLeastOnceState): Uint8Array {
  const { outbox, next, until, incidents } = state;
  return encodeJson({
    v: version,
    outbox,
    next,
    ...(until === undefined ? {} : { until }),
    incidents: incidents.count,
    last: incidents.last,
  });
}

/** Faults: STORE_FAILED, naming `place`. */
export function decodeAtLeastOnceState(bytes: Uint8Array, place: string): AtLeastOnceState {
  const stored = decodeJson(bytes, place);
  if (wholeOf(stored, "v") !== version) throw damaged(place, "it is of a later version");
  const { last, until } = stored.fields;
  return {
    outbox: textOf(stored, "outbox"),
    next: wholeOf(stored, "next"),
    ...(until === undefined ? {} : { until: wholeOf(stored, "until") }),
    incidents: {
      count: wholeOf(stored, "incidents"),
      last: last === undefined ? undefined : incidentOf(last, place),
    },
  };
}

/** The outbox no longer has these, or cannot read them. */
export function without(
  state: AtLeastOnceState,
  lane: Lane,
  lost: readonly Range[],
): AtLeastOnceState {
  return lost.reduce((known, { low, high }) => {
    const what = `${lane} ${low} to ${high - 1} were no longer in the outbox, or not readable there`;
    return { ...withIncident(known, { first: low, next: high, what }), next: high };
  }, state);
}

export function withIncident(state: AtLeastOnceState, last: Incident): AtLeastOnceState {
  return { ...state, incidents: { count: state.incidents.count + 1, last } };
}

/** A name for a history of a lane: 16 bytes in hex. */
export function freshOutbox(random: Random): string {
  const words = Array.from({ length: 4 }, () => random.uint32());
  return words.map((word) => word.toString(16).padStart(8, "0")).join("");
}
