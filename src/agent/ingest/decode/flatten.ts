/**
 * From a parsed payload to readings: nested objects become dotted paths, an array of objects several
 * messages.
 *
 *   {"ts":1,"a":{"b":2,"c":null},"on":true}  ->  time 1: a.b = 2, on = true
 *   [{"ts":1,"a":2},{"ts":3,"a":4}]          ->  time 1: a = 2; time 3: a = 4
 *   {"ts":1,"log":[{"v":2},{"ts":3,"v":4}]}  ->  time 1: log.v = 2; time 3: log.v = 4
 *   21.5                                     ->  "" = 21.5 (the topic names it)
 *
 * Within an element of an array time and sequence are the element's own fields (paths counted from
 * it), else those of what it stands in; `ignore` knows a field by either path. Null is no reading,
 * nor is the NaN of CBOR, by which devices say the same. An array of anything but objects has no names
 * for its values and is refused: index numbers would make a series of each. A number is finite: what a
 * double does not hold (1e999 of JSON), and the infinities of CBOR, are no measurement.
 */

import type { Role, SourceRules } from "../source-config.ts";
import type { Keys, Refusal } from "./decoder.ts";
import { millisOfNumber, millisOfText } from "./time.ts";

/** What stands at a path. `parent` is the index of the node of the object it is in, or -1. */
export type FlatNode = {
  readonly parent: number;
  readonly key: string;
  readonly path: string;
  readonly content:
    | { readonly kind: "reading"; readonly value: number | string | boolean }
    | { readonly kind: "null" }
    | { readonly kind: "object" }
    | Role;
};

/** One message: an object, or a payload that is just a value. */
export type FlatMessage = {
  readonly nodes: readonly FlatNode[];
  /** Millis; undefined where the message has none. */
  readonly time: number | undefined;
  readonly sequence: number | undefined;
  /** A payload that is just a value; an object whose paths start at its top; one below an array field. */
  readonly shape: "value" | "object" | "element";
};

export type FlatOptions = {
  readonly rules: SourceRules;
  readonly nestingMax: number;
  readonly readingsPerMessageMax: number;
};

/** `keys`: the value that it is about; none where it is about the payload as a whole. */
export type FlatRefusal = Omit<Refusal, "offset"> & { readonly keys: Keys };

/**
 * The messages of a payload, in its order; reasons: number_invalid, time_invalid, time_missing,
 * shape_unsupported, too_many_readings.
 */
export function flatten(root: unknown, options: FlatOptions): readonly FlatMessage[] | FlatRefusal {
  const payload = new Payload(options);
  const refusal = payload.top(root);
  return refusal ?? payload.messages;
}

type Scope = {
  readonly nodes: FlatNode[];
  /** Path of the array whose element this is, with a dot; empty at the top. */
  readonly prefix: string;
  readonly arrays: {
    readonly place: Place;
    readonly path: string;
    readonly items: readonly unknown[];
    readonly depth: number;
  }[];
  readonly inherited: Stamp;
  time: unknown;
  timeRank: number;
  timePlace: Place | undefined;
  sequence: number | undefined;
  sequenceRank: number;
};

type Place = Pick<FlatNode, "parent" | "key" | "path">;

type Stamp = { readonly time: number | undefined; readonly sequence: number | undefined };

class Payload {
  readonly messages: FlatMessage[] = [];
  readonly #options: FlatOptions;
  #readings = 0;

  constructor(options: FlatOptions) {
    this.#options = options;
  }

  top(root: unknown): FlatRefusal | undefined {
    const none = { time: undefined, sequence: undefined };
    if (Array.isArray(root)) return this.#elements(root, "", none, 1);
    if (isObject(root)) return this.#message(root, "", none, 1);
    const scope = newScope("", none);
    const place = { parent: -1, key: "", path: "" };
    const refusal = this.#scalar(scope, place, root);
    return refusal === undefined ? this.#close(scope, "value") : { ...refusal, keys: [] };
  }

  #elements(
    items: readonly unknown[],
    prefix: string,
    inherited: Stamp,
    depth: number,
  ): FlatRefusal | undefined {
    for (const [index, item] of items.entries()) {
      if (!isObject(item)) return refused("shape_unsupported", [index]);
      const refusal = this.#message(item, prefix, inherited, depth + 1);
      if (refusal !== undefined) return within([index], refusal);
    }
    return undefined;
  }

  #message(
    object: object,
    prefix: string,
    inherited: Stamp,
    depth: number,
  ): FlatRefusal | undefined {
    const scope = newScope(prefix, inherited);
    const shape = prefix === "" ? "object" : "element";
    return (
      this.#members(scope, object, { index: -1, path: "", depth }) ?? this.#close(scope, shape)
    );
  }

  #members(
    scope: Scope,
    object: object,
    at: { readonly index: number; readonly path: string; readonly depth: number },
  ): FlatRefusal | undefined {
    if (at.depth > this.#options.nestingMax) {
      return refused("shape_unsupported", keysOf(scope, scope.nodes[at.index]));
    }
    for (const [key, value] of entriesOf(object)) {
      const name = String(key).toWellFormed();
      const path = at.index < 0 ? name : `${at.path}.${name}`;
      const refusal = this.#member(scope, { parent: at.index, key: name, path }, value, at.depth);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  #member(scope: Scope, place: Place, value: unknown, depth: number): FlatRefusal | undefined {
    const { roles } = this.#options.rules;
    const full = { ...place, path: scope.prefix + place.path };
    const role = roles.get(place.path);
    const isIgnored = role?.kind === "ignored" || roles.get(full.path)?.kind === "ignored";
    if (isIgnored) {
      scope.nodes.push({ ...full, content: { kind: "ignored" } });
      return undefined;
    }
    if (Array.isArray(value)) {
      scope.arrays.push({ place, path: `${full.path}.`, items: value, depth });
      return undefined;
    }
    if (isObject(value)) {
      const index = scope.nodes.push({ ...full, content: { kind: "object" } }) - 1;
      return this.#members(scope, value, { index, path: place.path, depth: depth + 1 });
    }
    if (role === undefined) return this.#scalar(scope, full, value);

    scope.nodes.push({ ...full, content: role });
    if (isNothing(value)) return undefined;
    if (role.kind === "time" && role.rank < scope.timeRank) {
      scope.timeRank = role.rank;
      scope.time = value;
      scope.timePlace = place;
    }
    if (role.kind === "sequence" && role.rank < scope.sequenceRank && Number.isFinite(value)) {
      scope.sequenceRank = role.rank;
      scope.sequence = Number(value);
    }
    return undefined;
  }

  #scalar(scope: Scope, place: Place, value: unknown): FlatRefusal | undefined {
    if (isNothing(value)) {
      scope.nodes.push({ ...place, content: { kind: "null" } });
      return undefined;
    }
    const reading = readingOf(value);
    if (reading === undefined) return refused("shape_unsupported", keysOf(scope, place));
    if (typeof reading === "number" && !Number.isFinite(reading)) {
      return refused("number_invalid", keysOf(scope, place));
    }
    if (++this.#readings > this.#options.readingsPerMessageMax) {
      return refused("too_many_readings", []);
    }
    scope.nodes.push({ ...place, content: { kind: "reading", value: reading } });
    return undefined;
  }

  /** The message is complete: its time, and then the messages in its arrays. */
  #close(scope: Scope, shape: FlatMessage["shape"]): FlatRefusal | undefined {
    const { rules } = this.#options;
    const own = scope.time === undefined ? undefined : millisOf(scope.time, rules.zonelessIsUtc);
    if (own !== undefined && Number.isNaN(own)) {
      return refused("time_invalid", keysOf(scope, scope.timePlace));
    }
    const time = own ?? scope.inherited.time;
    const sequence = scope.sequence ?? scope.inherited.sequence;
    const hasReadings = scope.nodes.some(({ content }) => content.kind === "reading");
    if (time === undefined && rules.timeRequired && hasReadings) return refused("time_missing", []);

    this.messages.push({ nodes: scope.nodes, time, sequence, shape });
    for (const { place, path, items, depth } of scope.arrays) {
      const refusal = this.#elements(items, path, { time, sequence }, depth + 1);
      if (refusal !== undefined) return within(keysOf(scope, place), refusal);
    }
    return undefined;
  }
}

function refused(reason: Refusal["reason"], keys: Keys): FlatRefusal {
  return { kind: "refused", reason, keys };
}

/** What is refused in a value that has these keys itself. */
function within(keys: Keys, refusal: FlatRefusal): FlatRefusal {
  return { ...refusal, keys: [...keys, ...refusal.keys] };
}

/** From the top of the message. */
function keysOf({ nodes }: Scope, place: Place | undefined): Keys {
  const keys: string[] = [];
  for (let at = place; at !== undefined; at = nodes[at.parent]) keys.unshift(at.key);
  return keys;
}

function newScope(prefix: string, inherited: Stamp): Scope {
  const none = Number.POSITIVE_INFINITY;
  return {
    nodes: [],
    prefix,
    arrays: [],
    inherited,
    time: undefined,
    timeRank: none,
    timePlace: undefined,
    sequence: undefined,
    sequenceRank: none,
  };
}

function millisOf(time: unknown, zonelessIsUtc: boolean): number {
  if (typeof time === "number") return millisOfNumber(time);
  if (typeof time !== "string") return Number.NaN;
  const bytes = Buffer.from(time);
  return millisOfText(bytes, 0, bytes.length, zonelessIsUtc);
}

/** Text is made well formed: the log is UTF-8, and a name must be the same after it was read back. */
function readingOf(value: unknown): number | string | boolean | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "string") return value.toWellFormed();
  return typeof value === "boolean" ? value : undefined;
}

function isNothing(value: unknown): boolean {
  return value === null || value === undefined || Number.isNaN(value);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function entriesOf(object: object): Iterable<readonly [unknown, unknown]> {
  return object instanceof Map ? object.entries() : Object.entries(object);
}
