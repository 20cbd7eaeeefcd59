/** Dead letters as they are shown: sources by name, payloads in base64. */

import type { Catalog } from "../core/catalog.ts";
import type { Kv } from "../core/doors.ts";
import { sourceId } from "../core/units.ts";
import { readDeadLetters } from "../store/state/dead-letters.ts";
import type { DeadLetterView } from "./status.ts";

/** The newest, at most `limit`, newest first. */
export function deadLetterViews(
  kv: Kv,
  catalog: Catalog,
  options: { readonly limit: number },
): readonly DeadLetterView[] {
  return readDeadLetters(kv, options).map(({ payload, source, ...letter }) => ({
    ...letter,
    source: catalog.source(sourceId(source)),
    payloadBase64: Buffer.from(payload).toString("base64"),
  }));
}
