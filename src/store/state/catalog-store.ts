/**
 * The catalog's definitions in the state store: a projection of the log, so that a checkpoint does
 * not need the log behind it. Appended in the order of the log, one record block per commit, keyed
 * by the number of its last definition.
 */

import type { Kv, KvWrite } from "../../core/doors.ts";
import type { Named, Tags } from "../../core/frame.ts";
import { limits } from "../../core/limits.ts";
import { deviceId, seriesId, sourceId, symbolId } from "../../core/units.ts";
import { catalogKey, numberOfKey } from "./kv-key.ts";
import { decodeBlock, encodeBlock } from "../outbox/record-block.ts";
import {
  damaged,
  decodeJson,
  encodeJson,
  itemsOf,
  listOf,
  type StoredObject,
  textOf,
  wholeOf,
} from "./stored-json.ts";

const blocksPerRead = 64;

/** The writes that append definitions; `next` is the number of the first of them. */
export function definitionWrites(next: number, definitions: readonly Named[]): readonly KvWrite[] {
  const writes: KvWrite[] = [];
  const step = limits.definitionsPerFrameMax;
  for (let from = 0; from < definitions.length; from += step) {
    const part = definitions.slice(from, from + step);
    const block = encodeBlock(part.map((definition) => encodeJson(definition)));
    writes.push({ key: catalogKey(next + from + part.length - 1), value: block });
  }
  return writes;
}

/** All definitions in order. Faults: STORE_FAILED, naming the place. */
export function readDefinitions(kv: Kv): Named[] {
  const definitions: Named[] = [];
  const to = catalogKey(Number.MAX_SAFE_INTEGER);
  for (;;) {
    const blocks = kv.range({ from: catalogKey(definitions.length), to, limit: blocksPerRead });
    if (blocks.length === 0) return definitions;
    for (const { key, value } of blocks) {
      const place = `the state store's ${key}`;
      const block = decodeBlock(value);
      if (block.kind === "damaged") throw damaged(place, block.reason);
      for (const record of block.records) {
        definitions.push(definitionOf(decodeJson(record, place)));
      }
      if (definitions.length !== numberOfKey(key) + 1) {
        throw damaged(place, "definitions before it are missing");
      }
    }
  }
}

function definitionOf(stored: StoredObject): Named {
  const kind = textOf(stored, "kind");
  switch (kind) {
    case "source":
      return { kind, id: sourceId(wholeOf(stored, "id")), name: textOf(stored, "name") };
    case "device":
      return {
        kind,
        id: deviceId(wholeOf(stored, "id")),
        source: sourceId(wholeOf(stored, "source")),
        tags: tagsOf(stored),
      };
    case "series":
      return {
        kind,
        id: seriesId(wholeOf(stored, "id")),
        device: deviceId(wholeOf(stored, "device")),
        metric: textOf(stored, "metric"),
      };
    case "symbol":
      return { kind, id: symbolId(wholeOf(stored, "id")), text: textOf(stored, "text") };
    case "config":
      return { kind, json: textOf(stored, "json") };
    default:
      throw damaged(stored.place, `a definition of kind ${kind} is unknown`);
  }
}

function tagsOf(stored: StoredObject): Tags {
  return listOf(stored, "tags").map((tag) => {
    const [name, value] = itemsOf(tag, stored.place);
    if (typeof name !== "string" || typeof value !== "string") {
      throw damaged(stored.place, "a tag must be two strings");
    }
    return [name, value] as const;
  });
}
