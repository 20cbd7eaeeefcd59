/**
 * Which weirs may open a state store: the version of everything under its keys.
 *
 *   1   no tables
 *   2   accepted readings are in tables, and the log is released below them too
 *   3   blocks of the outbox may skip numbers; a store is of this version once one does
 */

import type { Kv, KvWrite } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { formatKey } from "./kv-key.ts";
import { decodeJson, encodeJson, wholeOf } from "./stored-json.ts";

const usualVersion = 2;
const skippingVersion = 3;

/** Goes with the first block that skips numbers, and with all further ones. A new buffer. */
export function skippingFormatWrite(): KvWrite {
  return formatWrite(skippingVersion);
}

/** Begins an empty store. Faults: FORMAT_TOO_NEW; STORE_FAILED where it is somebody else's. */
export async function checkFormat(kv: Kv): Promise<void> {
  const value = kv.get(formatKey);
  if (value === undefined) {
    if (kv.range({ from: "!", to: "~", limit: 1 }).length > 0) {
      throw new Fault(
        "STORE_FAILED",
        "the state store holds something, but not what weir writes: its format version is missing; restore it, or start with a fresh data directory",
      );
    }
    await kv.commit([formatWrite(usualVersion)]);
    return;
  }
  const version = wholeOf(decodeJson(value, "the state store's format"), "version");
  if (version === usualVersion || version === skippingVersion) return;
  if (version < usualVersion) {
    // An older weir must not take it for its own any more: it would know nothing of the tables.
    await kv.commit([formatWrite(usualVersion)]);
    return;
  }
  throw new Fault(
    "FORMAT_TOO_NEW",
    `the state store has format ${version}, this weir knows up to ${skippingVersion}; start the newer weir again`,
    { facts: { version, known: skippingVersion } },
  );
}

function formatWrite(version: number): KvWrite {
  return { key: formatKey, value: encodeJson({ version }) };
}
