/**
 * The Kv of a state store with a checksum at every value (checked-value.ts), as everything above sees
 * it: values go in and come out as they are, and what was changed in between is never given out.
 *
 *   get, range   a damaged value is a fault that names its key; a range may be asked to leave it out
 *   opening      values of which one copy is damaged are written again (chunks of operator state with
 *                one of the next commits, when they were read); a store of an older weir,
 *                which has no checksums, gets them, in one transaction
 *
 * Blocks of records have their own checksum and are as their writer made them, so that one which is
 * damaged costs its records alone; `format` is one of a few texts.
 */

import type { Kv, KvRange, KvWrite } from "../../core/doors.ts";
import type { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { type CheckedValue, decodeChecked, encodeChecked } from "./checked-value.ts";
import { behindKeys, blockPrefixes, chunkPrefix, formatKey } from "./kv-key.ts";
import { formatOf, formatWrite } from "./state-format.ts";
import { damaged } from "./stored-json.ts";

const entriesPerRead = 256;

/**
 * The store to read and write; begins an empty one. Faults: FORMAT_TOO_NEW; STORE_FAILED where it is
 * somebody else's, or as the Kv says.
 */
export async function openCheckedKv(kv: Kv): Promise<Kv> {
  const format = formatOf(kv);
  if (format === "checked") {
    const writes = [...brokenCopies(kv)];
    if (writes.length > 0) await kv.commit(writes);
  } else {
    const unchecked = format === "unchecked" ? [...entriesOf(kv)] : [];
    const writes = unchecked.map(({ key, value }) => ({ key, value: encodeChecked(key, value) }));
    await kv.commit([...writes, formatWrite()]);
  }
  return new CheckedKv(kv);
}

/** The same only to be read, beside an agent or not: nothing is changed. */
export function readCheckedKv(kv: Kv): Kv {
  return formatOf(kv) === "checked" ? new CheckedKv(kv) : kv;
}

/** What is damaged in a store, below its checksums. */
export function* surveyValues(
  kv: Kv,
): Generator<{ readonly key: string; readonly extent: "value" | "copy" }> {
  if (formatOf(kv) !== "checked") return;
  for (const { key, value } of entriesOf(kv)) {
    const checked = decodeChecked(key, value);
    if (checked.kind === "damaged") yield { key, extent: "value" };
    else if (!checked.isWhole) yield { key, extent: "copy" };
  }
}

class CheckedKv implements Kv {
  readonly #kv: Kv;
  /** Keys of values that were found with one copy. */
  readonly #worn = new Set<string>();

  constructor(kv: Kv) {
    this.#kv = kv;
  }

  get(key: string): Uint8Array | undefined {
    const value = this.#kv.get(key);
    if (value === undefined || !isChecked(key)) return value;
    const checked = this.#checked(key, value);
    if (checked.kind === "damaged") throw faultOf(key);
    return checked.bytes;
  }

  range(range: KvRange): readonly { readonly key: string; readonly value: Uint8Array }[] {
    const { onDamaged, ...rest } = range;
    const found: { key: string; value: Uint8Array }[] = [];
    for (const { key, value } of this.#kv.range(rest)) {
      const checked = isChecked(key) ? this.#checked(key, value) : undefined;
      if (checked?.kind !== "damaged") found.push({ key, value: checked?.bytes ?? value });
      else if (onDamaged === undefined) throw faultOf(key);
      else onDamaged(key);
    }
    return found;
  }

  async commit(writes: readonly KvWrite[]): Promise<void> {
    const checked = writes.map(({ key, value }) => ({
      key,
      value: value === undefined || !isChecked(key) ? value : encodeChecked(key, value),
    }));
    await this.#kv.commit([...checked, ...this.#mendings(writes)]);
  }

  #checked(key: string, value: Uint8Array): CheckedValue {
    const checked = decodeChecked(key, value);
    const isWorn = checked.kind === "value" && !checked.isWhole;
    if (isWorn && this.#worn.size < limits.kvWornMax) this.#worn.add(key);
    return checked;
  }

  /** Of values that were found with one copy, a few beside what is written: as they are now. */
  #mendings(writes: readonly KvWrite[]): readonly KvWrite[] {
    if (this.#worn.size === 0) return [];
    for (const { key } of writes) this.#worn.delete(key);
    const mendings: KvWrite[] = [];
    for (const key of this.#worn) {
      if (mendings.length === limits.kvMendedPerCommitMax) break;
      this.#worn.delete(key);
      const value = this.#kv.get(key);
      const checked = value && decodeChecked(key, value);
      if (checked?.kind !== "value" || checked.isWhole) continue;
      mendings.push({ key, value: encodeChecked(key, checked.bytes) });
    }
    return mendings;
  }

  async close(): Promise<void> {
    await this.#kv.close();
  }
}

function isChecked(key: string): boolean {
  return key !== formatKey && !blockPrefixes.some((prefix) => key.startsWith(prefix));
}

function faultOf(key: string): Fault {
  return damaged(`the state store's ${key}`, "its checksum does not match");
}

/** What mends values that have lost one of their copies, but for chunks: all of them are much to read. */
function* brokenCopies(kv: Kv): Generator<KvWrite> {
  for (const { key, value } of entriesOf(kv, [...blockPrefixes, chunkPrefix])) {
    const checked = decodeChecked(key, value);
    if (checked.kind === "damaged" || checked.isWhole) continue;
    yield { key, value: encodeChecked(key, checked.bytes) };
  }
}

/** What has, or should have, a checksum here, but for keys that begin with one of `without`, ascending. */
function* entriesOf(
  kv: Kv,
  without: readonly string[] = blockPrefixes,
): Generator<{ readonly key: string; readonly value: Uint8Array }> {
  let from = "!";
  for (const prefix of [...without, "~"]) {
    for (let at = from; ; ) {
      const entries = kv.range({ from: at, to: prefix, limit: entriesPerRead });
      if (entries.length === 0) break;
      for (const entry of entries) if (isChecked(entry.key)) yield entry;
      at = `${entries.at(-1)!.key}!`;
    }
    from = behindKeys(prefix);
  }
}
