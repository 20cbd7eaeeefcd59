/** An incident as lanes of every uplink store it: `{"first":n,"next":n,"what":".."}`. */

import { objectOf, textOf, wholeOf } from "../store/state/stored-json.ts";
import type { Incident } from "./uplink.ts";

/** Faults: STORE_FAILED, naming `place`. */
export function incidentOf(value: unknown, place: string): Incident {
  const stored = objectOf(value, place);
  return {
    first: wholeOf(stored, "first"),
    next: wholeOf(stored, "next"),
    what: textOf(stored, "what"),
  };
}
