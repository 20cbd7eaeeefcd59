/**
 * What Home Assistant was told, as it is stored, so that an agent that starts tells it again at once and
 * takes back what is there no more:
 *
 *   home-assistant/<id>   {"v":1,"kind":"summary","device":"..","subject":{"pipeline":"temp@2",
 *                          "key":[["device","p1"]]},"fields":["mean"],"gone":["max"]}
 *
 * `gone` are fields that are to be taken back: Home Assistant hears that only while it is connected, so
 * they stay until it has said `online`. Of an erased subject only ids are left, without `subject`.
 */

import type { Kv, KvWrite } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import type { Tags } from "../../core/frame.ts";
import { behindKeys, homeAssistantKey, homeAssistantPrefix } from "../../store/state/kv-key.ts";
import {
  damaged,
  decodeJson,
  encodeJson,
  itemsOf,
  listOf,
  objectOf,
  type StoredObject,
  textOf,
  wholeOf,
} from "../../store/state/stored-json.ts";
import type { Subject } from "./subject.ts";

/** Of a subject. */
export type Told = {
  readonly id: string;
  readonly kind: Subject["kind"];
  /** Id of the device that its entities are of. */
  readonly device: string;
  /** `pipeline` as records name it; undefined where it was erased. */
  readonly about: { readonly pipeline: string; readonly key: Tags } | undefined;
  readonly fields: readonly string[];
  readonly gone: readonly string[];
};

/**
 * All of it, in the order of the ids. What is damaged is left out: it is told anew with its next record.
 * Faults: STORE_FAILED of a store that cannot be read at all.
 */
export function readTold(kv: Pick<Kv, "range">): readonly Told[] {
  const entries = kv.range({
    from: homeAssistantPrefix,
    to: behindKeys(homeAssistantPrefix),
    onDamaged: () => undefined,
  });
  return entries.flatMap(({ key, value }) => {
    try {
      return [decodeTold(key.slice(homeAssistantPrefix.length), value)];
    } catch (error) {
      if (error instanceof Fault) return [];
      throw error;
    }
  });
}

/** Stores it, or removes it where nothing is left to be told. */
export function writeOfTold({ id, kind, device, about, fields, gone }: Told): KvWrite {
  const key = homeAssistantKey(id);
  if (fields.length + gone.length === 0) return { key, value: undefined };
  return {
    key,
    value: encodeJson({
      v: 1,
      kind,
      device,
      ...(about === undefined ? {} : { subject: about }),
      fields,
      gone,
    }),
  };
}

/** Without a trace of names: all its entities are to be taken back. */
export function erasedTold(told: Told): Told {
  const gone = [...new Set([...told.gone, ...told.fields])];
  return { ...told, about: undefined, fields: [], gone };
}

function decodeTold(id: string, value: Uint8Array): Told {
  const stored = decodeJson(value, `the state store's ${homeAssistantKey(id)}`);
  if (wholeOf(stored, "v") !== 1) throw damaged(stored.place, "it is of a later version");
  const kind = textOf(stored, "kind");
  if (kind !== "summary" && kind !== "alert") throw damaged(stored.place, "kind is unknown");
  const subject = stored.fields["subject"];
  return {
    id,
    kind,
    device: textOf(stored, "device"),
    about: subject === undefined ? undefined : aboutOf(objectOf(subject, stored.place)),
    fields: textsOf(listOf(stored, "fields"), stored.place),
    gone: textsOf(listOf(stored, "gone"), stored.place),
  };
}

function aboutOf(stored: StoredObject): NonNullable<Told["about"]> {
  const key = listOf(stored, "key").map((item): readonly [string, string] => {
    const [name, value, ...more] = textsOf(itemsOf(item, stored.place), stored.place);
    if (name !== undefined && value !== undefined && more.length === 0) return [name, value];
    throw damaged(stored.place, "a tag is not two texts");
  });
  return { pipeline: textOf(stored, "pipeline"), key };
}

function textsOf(items: readonly unknown[], place: string): readonly string[] {
  return items.map((item) => {
    if (typeof item === "string") return item;
    throw damaged(place, "something in a list is no text");
  });
}
