/**
 * What a Kafka lane keeps in the state store: how far its outbox is known to be in the cluster, and
 * the intent of the transaction that may be under way. Stored under uplinkKey(uplink, lane) as JSON;
 * documented in docs/format/records.md.
 */

import { Fault } from "../../core/faults.ts";
import { type Lane, lanes } from "../../store/outbox/lane.ts";
import { uplinkKey } from "../../store/state/kv-key.ts";
import {
  damaged,
  decodeJson,
  encodeJson,
  itemsOf,
  listOf,
  objectOf,
  textOf,
  wholeOf,
} from "../../store/state/stored-json.ts";
import { incidentOf } from "../incident.ts";
import type { Incident, Incidents } from "../uplink.ts";
import { type Boot, bootOf, lifeOf, type Mark, markOf } from "./cursor.ts";
import type { Guarantee } from "./session.ts";

/**
 * A transaction whose outcome is not known yet: the records with the numbers [LaneState.number,
 * number) in the lane of the outbox, which become [LaneState.mark.seq, mark.seq) upstream. It is not
 * changed until the cursor has decided it.
 */
export type Intent = {
  readonly number: number;
  readonly mark: Mark;
  /** Without a transaction no cursor can decide it. */
  readonly delivery: Guarantee;
};

/** Where the lane's cursor record was last written. */
export type CursorPlace = {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
};

export type LaneState = {
  readonly agent: string;
  /** Id of the cluster that `mark` is about. */
  readonly cluster: string;
  /** What is decided. */
  readonly mark: Mark;
  /** Number in the outbox lane of the first record that is not decided. */
  readonly number: number;
  /**
   * Our mark as the cluster had it when it was last asked: behind `mark` where the cluster lost
   * something, undefined where it has none. What it says is reported once, not at every connection.
   */
  readonly there: Mark | undefined;
  readonly boots: readonly Boot[];
  /** Other outboxes under this name, the newest first. */
  readonly before: readonly Mark[];
  /** `<outbox>:<seq>` this outbox parted from; empty where it did not. */
  readonly forkedFrom: string;
  readonly intent: Intent | undefined;
  readonly place: CursorPlace | undefined;
  readonly incidents: Incidents;
  /** As in the cursor (cursor.ts): how often the name was given to other hardware. */
  readonly life?: number | undefined;
};

export function encodeLaneState(state: LaneState): Uint8Array {
  const { mark, there, boots, before, intent, incidents, ...rest } = state;
  return encodeJson({
    v: 1,
    ...rest,
    mark: marked(mark),
    ...(there === undefined ? {} : { there: marked(there) }),
    boots: boots.map(({ id, seq }) => [id, seq]),
    before: before.map(marked),
    ...(intent === undefined
      ? {}
      : { intent: [intent.number, ...marked(intent.mark), intent.delivery] }),
    incidents: incidents.count,
    last: incidents.last,
  });
}

/** Faults: STORE_FAILED. */
export function decodeLaneState(bytes: Uint8Array, place: string): LaneState {
  const stored = decodeJson(bytes, place);
  const version = wholeOf(stored, "v");
  if (version !== 1) {
    throw new Fault(
      "FORMAT_TOO_NEW",
      `${place} has version ${version}, this weir knows 1; start the newer weir again`,
      { facts: { version } },
    );
  }
  const { there, intent, place: at, last } = stored.fields;
  return {
    agent: textOf(stored, "agent"),
    cluster: textOf(stored, "cluster"),
    mark: markOf(stored.fields["mark"], place),
    number: wholeOf(stored, "number"),
    there: there === undefined ? undefined : markOf(there, place),
    boots: listOf(stored, "boots").map((item) => bootOf(item, place)),
    before: listOf(stored, "before").map((item) => markOf(item, place)),
    forkedFrom: textOf(stored, "forkedFrom"),
    intent: intent === undefined ? undefined : intentOf(itemsOf(intent, place), place),
    place: at === undefined ? undefined : placeOf(at, place),
    incidents: {
      count: wholeOf(stored, "incidents"),
      last: last === undefined ? undefined : incidentOf(last, place),
    },
    ...lifeOf(stored),
  };
}

/**
 * The life of the agent's name that is known here, by all lanes of the uplink that have sent under it;
 * undefined where none has. `get` reads the state store. Faults: STORE_FAILED.
 */
export function lifeHere(
  get: (key: string) => Uint8Array | undefined,
  { uplink, agent }: { readonly uplink: string; readonly agent: string },
): number | undefined {
  const lives: number[] = [];
  for (const lane of lanes) {
    const key = uplinkKey(uplink, lane);
    const stored = get(key);
    const state = stored && decodeLaneState(stored, `the state store's ${key}`);
    if (state?.agent === agent) lives.push(state.life ?? 0);
  }
  return lives.length === 0 ? undefined : Math.max(...lives);
}

/** `state` with one more incident. */
export function withIncident(state: LaneState, incident: Incident): LaneState {
  return { ...state, incidents: { count: state.incidents.count + 1, last: incident } };
}

/** A lane's name for a person, and for the resources of a cluster. */
export function laneName(agent: string, lane: Lane): string {
  return `weir.${agent}.${lane}`;
}

function marked({ outbox, seq, digest }: Mark): readonly (string | number)[] {
  return [outbox, seq, digest];
}

function intentOf(
  [number, outbox, seq, digest, delivery]: readonly unknown[],
  place: string,
): Intent {
  if (delivery !== "transactional" && delivery !== "upsert") {
    throw damaged(place, "the delivery of its intent is unknown");
  }
  return {
    number: wholeOf({ place, fields: { number } }, "number"),
    mark: markOf([outbox, seq, digest], place),
    delivery,
  };
}

function placeOf(value: unknown, place: string): CursorPlace {
  const stored = objectOf(value, place);
  return {
    topic: textOf(stored, "topic"),
    partition: wholeOf(stored, "partition"),
    offset: wholeOf(stored, "offset"),
  };
}
